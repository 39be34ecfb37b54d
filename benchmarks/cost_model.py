"""Prints what evaluations of large models cost, by `cost.py` beside it.

    python benchmarks/cost_model.py

Sizes are of Llama 3.1; devices are H100 SXM by their data sheet (989 TFLOP/s in bfloat16, 3.35
TB/s, 80 GB), at shares of it that are assumptions. Nothing here is measured:
`benchmarks/scaling.py` holds the formulas against measurements.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cost import (
    Machine,
    ModelSize,
    Work,
    cache_bytes,
    decoding_seconds,
    scoring_bytes,
    scoring_seconds,
    search_flops,
    sweep_flops,
)

PEAK_FLOPS, PEAK_BANDWIDTH = 989e12, 3.35e12
COMPUTE_SHARE, BANDWIDTH_SHARE = 0.4, 0.6
SHARDED_SHARE = 0.7
"""What is left of eight devices that hold each layer together and wait for one another."""
BATCH = 32

EIGHT = ModelSize(32, 4096, 14336, 128256, keys=1024)
SEVENTY = ModelSize(80, 8192, 28672, 128256, keys=1024)


@dataclass(frozen=True)
class Setup:
    """A model on machines."""

    name: str
    size: ModelSize
    devices: int
    """Devices that hold one copy."""
    at_once: float
    """How many of them work at a time: all but waiting if they share each layer, else one."""
    copies: int

    @property
    def machine(self) -> Machine:
        flops = PEAK_FLOPS * COMPUTE_SHARE * self.at_once
        return Machine(flops, PEAK_BANDWIDTH * BANDWIDTH_SHARE * self.at_once, self.copies)


SETUPS = (
    Setup("8B on 8 GPUs, a copy each", EIGHT, 1, 1, 8),
    Setup("70B on 4 nodes of 8, layers divided in a node", SEVENTY, 8, 1, 4),
    Setup("70B on 4 nodes of 8, tensor parallel in a node", SEVENTY, 8, 8 * SHARDED_SHARE, 4),
)

OPEN_SHARE = 0.3
DEVELOPMENT = Work(50, 60, 1)


def figures(setup: Setup) -> dict[str, str]:
    """One column of the table: what, and how much."""
    size, machine = setup.size, setup.machine
    closed = Work(10_000, 700, 4)
    choices = replace(closed, open_share=OPEN_SHARE, layer=size.layers // 2)
    texts = replace(choices, documents=1_000, scored=1, new_tokens=256)
    found = search_flops(size, prompts=256, tokens=60) + search_flops(size, prompts=163, tokens=13)
    swept = sweep_flops(size, DEVELOPMENT, layers=size.layers, configurations=84)
    answering = scoring_seconds(size, texts, machine)
    answering += decoding_seconds(size, texts, machine, batch=BATCH)
    seconds = {
        "10,000 documents of 700 tokens, gates closed": scoring_seconds(size, closed, machine),
        "the same, 30 % open at the middle layer": scoring_seconds(size, choices, machine),
        f"1,000 texts of 256 new tokens, batch {BATCH}": answering,
        "neurons of one task, found once": found / machine.flops,
        "sweep of one task, every layer x 84": swept / (machine.flops * machine.copies),
    }
    memory = {
        "weights, each device": size.weight_bytes / setup.devices,
        f"scoring beside them, batch {BATCH}": scoring_bytes(size, choices, batch=BATCH),
        f"keys and values, batch {BATCH}, each device": cache_bytes(size, texts, batch=BATCH)
        / setup.devices,
    }
    told = {name: f"{took:,.0f} s" for name, took in seconds.items()}
    if setup.at_once > 1:
        told["sweep of one task, every layer x 84"] = "not in this way"
    return told | {name: f"{held / 2**30:.1f} GiB" for name, held in memory.items()}


def main() -> None:
    """Prints a table with one column per setup."""
    columns = [figures(setup) for setup in SETUPS]
    lines = [["", *(setup.name for setup in SETUPS)], ["---"] * (1 + len(SETUPS))]
    lines += [[name, *(column[name] for column in columns)] for name in columns[0]]
    for line in lines:
        print(f"| {' | '.join(line)} |")


if __name__ == "__main__":
    main()
