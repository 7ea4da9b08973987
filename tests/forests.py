"""Forests of no meaning in LightGBM's text, and values that try their thresholds."""

import math

import numpy as np

NONE_LEFT, NONE_RIGHT, ZERO_LEFT, ZERO_RIGHT, NAN_LEFT, NAN_RIGHT = 2, 0, 6, 4, 10, 8
"""LightGBM's decision_type: default direction in bit 1, kind of missing value in bits 2 and 3."""

DECISIONS = [NONE_LEFT, NONE_RIGHT, ZERO_LEFT, ZERO_RIGHT, NAN_LEFT, NAN_RIGHT]


def random_tree(rng, leaves, features, thresholds, decisions, *, chain=False):
    """One tree in LightGBM's text; leaves are split one by one, so that children come after their parents."""
    left, right, ends = [], [], [(None, None)]  # where a leaf hangs: the list, and the node
    for node in range(leaves - 1):
        side, parent = ends.pop(-1 if chain else int(rng.integers(len(ends))))
        if side is not None:
            side[parent] = node
        left.append(None)
        right.append(None)
        ends += [(left, node), (right, node)]
    for leaf, (side, parent) in enumerate(ends):
        if side is not None:
            side[parent] = ~leaf
    nodes = leaves - 1
    rows = {
        "num_leaves": [leaves],
        "num_cat": [0],
        "split_feature": rng.integers(0, features, nodes),
        "split_gain": np.ones(nodes, int),
        "threshold": [repr(float(value)) for value in rng.choice(thresholds, nodes)],
        "decision_type": rng.choice(decisions, nodes),
        "left_child": left,
        "right_child": right,
        "leaf_value": [repr(float(value)) for value in rng.normal(0, 0.3, leaves)],
        "leaf_weight": np.ones(leaves, int),
        "leaf_count": np.ones(leaves, int),
        "internal_value": np.zeros(nodes, int),
        "internal_weight": np.zeros(nodes, int),
        "internal_count": np.ones(nodes, int),
        "is_linear": [0],
        "shrinkage": [1],
    }
    return "".join(f"{key}={' '.join(map(str, row))}\n" for key, row in rows.items())


def model_text(trees, features, *, classes=1, average=False):
    """A whole model of trees in text; tree ``i`` is of class ``i % classes``."""
    blocks = [f"Tree={number}\n{tree}\n\n" for number, tree in enumerate(trees)]
    objective = f"multiclass num_class:{classes}" if classes > 1 else "binary sigmoid:1"
    head = ["tree", "version=v4", f"num_class={classes}", f"num_tree_per_iteration={classes}", "label_index=0"]
    head += [f"max_feature_idx={features - 1}", f"objective={objective}", *(["average_output"] if average else [])]
    head += [f"feature_names={' '.join(f'f{i}' for i in range(features))}"]
    head += [f"feature_infos={' '.join(['[-9:9]'] * features)}"]
    head += [f"tree_sizes={' '.join(str(len(block)) for block in blocks)}"]
    return "\n".join(head) + "\n\n" + "".join(blocks) + "end of trees\n\nparameters:\nend of parameters\n"


def awkward_values(rng, thresholds, shape):
    """On, just below and just above thresholds; nearly zero; missing; endless; anything."""
    edges = rng.choice(thresholds, shape)
    tiny = rng.choice([0.0, -0.0, 1e-36, -1e-36, 1e-35, float(np.float32(1e-35)), 1.1e-35, -1.1e-35], shape)
    choices = [
        edges, np.nextafter(edges, -math.inf), np.nextafter(edges, math.inf), tiny, np.full(shape, np.nan),
        rng.choice([-math.inf, math.inf], shape), rng.normal(0, 1, shape), rng.normal(0, 1, shape),
    ]  # fmt: skip
    return np.choose(rng.integers(0, len(choices), shape), choices)


def awkward_numbers(rng, thresholds, shape):
    """int16: next to thresholds, the ends of the range, 0, -32768 for missing, anything."""
    edges = np.clip(np.floor(rng.choice(thresholds, shape)) + rng.integers(-1, 2, shape), -32767, 32767)
    choices = [
        edges, rng.choice([-32768, -32767, 0, 32767], shape), np.full(shape, -32768),
        rng.integers(-32768, 32768, shape), edges,
    ]  # fmt: skip
    return np.choose(rng.integers(0, len(choices), shape), choices).astype("int16")


def as_reals(numbers):
    """int16 as LightGBM is given them: float32, NaN for -32768."""
    return np.where(numbers == -32768, np.nan, numbers).astype("float32")
