r"""Write trained weights to the package as 16-bit numbers, with their card.

    python tools/pack_weights.py build/embedded/average.pt:0.4 build/embedded/finished.pt:0.6 \
        src/grainsmith/models/weights/grains.pt --card tools/grains_card.json

Several files of one training are averaged with the given shares: the mean of their weights keeps
what each of them learnt last (Wortsman et al. 2022, "Model soups").
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import torch

from grainsmith.io.files.atomic_write import atomic_write, fingerprint


def average(sources: list[str]) -> dict[str, torch.Tensor]:
    """Return the mean of the weights in files, by their shares; counters are the last ones."""
    states, shares = [], []
    for source in sources:
        # The share follows the last colon: a path may begin with the letter of a drive.
        path, share = re.fullmatch(r"(.+?)(?::([\d.]+))?", source).groups()
        states.append(torch.load(path, weights_only=True))
        shares.append(float(share or 1))
    last = states[-1]
    return {
        key: sum(part * state[key].float() for part, state in zip(shares, states, strict=True))
        / sum(shares)
        if last[key].is_floating_point()
        else last[key]
        for key in last
    }


def main() -> None:
    """Average, convert and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="+", metavar="SOURCE[:SHARE]")
    parser.add_argument("target", type=Path)
    parser.add_argument("--card", type=Path, help="JSON file with the other entries of the card")
    args = parser.parse_args()
    state = average(args.sources)
    halves = {
        key: value.half() if value.is_floating_point() else value for key, value in state.items()
    }
    with atomic_write(args.target) as temporary:
        torch.save(halves, temporary)
    card = json.loads(args.card.read_text("utf8")) if args.card else {}
    card |= {
        "sha256": fingerprint(args.target),
        "weights": sum(v.numel() for v in halves.values() if v.is_floating_point()),
    }
    args.target.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", "utf8")
    print(f"{args.target}: {args.target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
