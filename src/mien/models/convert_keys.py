"""The authors' names of the tensors of the masked family (decisions: tensor-names)."""

from __future__ import annotations

# Names inside the encoder that differ, ours to theirs (decisions: tensor-names).
THEIRS = {
    "region_tokens": "lg_region_tokens",
    "intra_norm": "first_attn_norm0",
    "intra_attn": "first_attn",
    "inter_norm": "second_attn_norm0",
    "inter_attn": "second_attn",
    "global_norm1": "third_attn_norm0",
    "global_norm2": "third_attn_norm1",
    "global_attn": "third_attn",
}
ROOT = {"decoder.mask_token": "mask_token", "decoder.embed.weight": "encoder_to_decoder.weight"}
PREFIXES = ("module.", "backbone.", "encoder.")  # the published loaders strip the last two, DDP adds the first


def official_key(key: str, pretraining: bool) -> str:
    """Our name of a tensor to the authors'."""
    key = ".".join(THEIRS.get(part, part) for part in key.split("."))
    if pretraining:
        return f"encoder.{key}" if key.startswith("norm.") else ROOT.get(key, key)
    return key.removeprefix("encoder.")


def bare(key: str) -> str:
    """A name without what loaders and wrappers put in front of it."""
    while prefix := next((p for p in PREFIXES if key.startswith(p)), None):
        key = key.removeprefix(prefix)
    return key
