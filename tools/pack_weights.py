"""Put trained weights into the package: 16-bit numbers, and a card beside them.

python tools/pack_weights.py build/embedded/grains.pt src/grainsmith/models/weights/grains.pt \
        --card docs/cards/grains.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from grainsmith.io.files import fingerprint, whole_file


def main() -> None:
    """Convert and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--card", type=Path, help="JSON with what is to be said of the model")
    args = parser.parse_args()
    state = torch.load(args.source, weights_only=True)
    halves = {
        key: value.half() if value.is_floating_point() else value for key, value in state.items()
    }
    with whole_file(args.target) as temporary:
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
