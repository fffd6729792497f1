#!/usr/bin/env python3
# Random links and random failures: what the written scenarios do not know. Compares builds of hawser-sim on the same ones.
"""Usage:

    tests/sim/random_links.py failures --seed 1 --count 40 build/bin/hawser-sim [another/hawser-sim ...]
    tests/sim/random_links.py goodput --list build/bin/hawser-sim

Each is two or three links of 1 to 150 Mbit/s (within 4:1 of the first) and 2 to 120 ms one way, some with ordered jitter,
random or bursty loss, buffers of half a round trip to 400 ms or CoDel; a TCP flow up or down and an echo of 100 packets a
second. `failures`: at 15 s one link is cut off, or falls silent in both or one direction. `goodput`: each link also alone.
With --reordering jitter is drawn for each packet, and half of the links have some.
Prints one line per build; --list one per scenario, the worst first; --toml the scenarios themselves.
"""
import argparse
import json
import math
import random
import subprocess
import sys
import tempfile

HEAD = {
    "failures": "seconds = 24\nmeasure-from = 12\nseeds = 2\n",
    "goodput": "seconds = 30\nmeasure-from = 10\nseeds = 2\nalone = true\n",
}
FAILURES = ["blackhole = true", "carrier = false", "down = { blackhole = true }", "up = { blackhole = true }"]


def between(draw, low, high):
    """Uniform in the logarithm."""
    return math.exp(draw.uniform(math.log(low), math.log(high)))


def link(draw, name, like, reordering):
    """One link as TOML, and its rate in Mbit/s. `like`: the first link's rate, or None."""
    rate = min(150.0, max(1.0, like * between(draw, 1 / 4, 4) if like else between(draw, 3, 80)))
    delay = between(draw, 2, 120)
    keys = [f'name = "{name}"', f'rate = "{rate * 1000:.0f}k"', f'delay = "{delay:.1f}ms"']
    if draw.random() < (0.5 if reordering else 0.35):
        keys.append(f'jitter = "{draw.uniform(1, max(2, delay / 2)):.1f}ms"')
        if reordering:
            keys.append(f'jitter-form = "{draw.choice(["reordering", "normal"])}"')
    kind = draw.random()
    if kind < 0.35:
        keys.append(f'loss = "{between(draw, 0.05, 5):.2f}%"')
    elif kind < 0.45:
        begin, end, loss = between(draw, 0.02, 0.3), between(draw, 5, 40), draw.uniform(30, 100)
        keys.append(f'burst = {{ begin = "{begin:.2f}%", end = "{end:.0f}%", loss = "{loss:.0f}%" }}')
    kind = draw.random()
    if kind < 0.25:
        keys.append(f'queue = "{between(draw, 0.5, 3):.2f}bdp"')
    elif kind < 0.75:
        keys.append(f'queue = "{between(draw, 20, 400):.0f}ms"')
    elif kind < 0.85:
        keys.append('aqm = "codel"')
    return rate, keys


def scenarios(kind, seed, count, reordering):
    draw = random.Random(seed)
    text = HEAD[kind]
    for number in range(count):
        how_many = 2 if draw.random() < 0.7 else 3
        first, keys = link(draw, "a", None, reordering)
        links = [keys] + [link(draw, name, first, reordering)[1] for name in "bc"[: how_many - 1]]
        if kind == "failures":
            failure, which = draw.choice(FAILURES), draw.randrange(how_many)
            links[which].append(f'steps = [{{ at = "15s", {failure} }}]')
        heading = draw.choice(["down", "up"])
        text += f'\n[[variant]]\nname = "{number}-{heading}"\n'
        text += f'flow = [{{ heading = "{heading}" }}, {{ type = "echo", pps = 100.0 }}]\nlink = [\n'
        text += "".join("  { " + ", ".join(keys) + " },\n" for keys in links) + "]\n"
    return text


def measure(simulator, path):
    run = subprocess.run([simulator, path, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(run.stdout)


def row(kind, result):
    """What is judged of one scenario; the first is the worse the greater it is."""
    values = result["values"]
    if kind == "failures":
        return [values["stall_ms"], values["echo.gap_ms"], values["timeouts"], values["goodput"]]
    alone = [v["goodput"] for v in result["alone"].values()]
    return [-values["goodput"] / max(alone), values["of_ceiling"], values["timeouts"], values["goodput"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=list(HEAD))
    parser.add_argument("simulator", nargs="*")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--toml", action="store_true")
    parser.add_argument("--reordering", action="store_true")
    asked = parser.parse_intermixed_args()
    text = scenarios(asked.kind, asked.seed, asked.count, asked.reordering)
    if asked.toml:
        print(text, end="")
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        for simulator in asked.simulator:
            results = measure(simulator, file.name)
            rows = [(row(asked.kind, r), r["scenario"].split("/")[-1]) for r in results]
            if asked.list:
                for values, name in sorted(rows, reverse=True):
                    print(f"{name:10s}", *[f"{abs(v):9.2f}" for v in values])
            mean = [sum(abs(values[i]) for values, _ in rows) / len(rows) for i in range(4)]
            if asked.kind == "failures":
                long = sum(values[0] > 300 for values, _ in rows)
                print(f"{simulator}: longest stall {mean[0]:.0f} ms, over 300 ms {long} of {len(rows)}, silence of the echo {mean[1]:.0f} ms, "
                      f"timeouts {mean[2] * len(rows):.0f}, goodput {mean[3]:.2f} Mbit/s")
            else:
                least = min(-values[0] for values, _ in rows)
                print(f"{simulator}: of the better link alone {mean[0]:.2f}, least {least:.2f}, of the ceiling {mean[1]:.3f}, "
                      f"timeouts {mean[2] * len(rows):.0f}, goodput {mean[3]:.2f} Mbit/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
