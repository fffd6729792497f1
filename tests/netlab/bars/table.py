#!/usr/bin/env python3
# Measures the bars' cases several times each and writes tables: medians, worst runs, the simulator's value beside them.
"""
    tests/run.sh bars [CASE [VARIANT..]..] [--runs 5] [--congestion bbr] [--no-offload]
    tests/run.sh bars P1 P3 down --runs 3          all of P1, and of P3 only "down"

Each case is run by tests/netlab/bars.sh. What is measured replaces its rows in tests/netlab/bars/results.json, and results.md
there is written from it; both name the commit. Without CASE all are measured (hours), P1 to P4 with BBR inside as well.
With --no-offload both ends use none of the kernel's offloads; such rows stand beside the others.
HAWSER_BARS_PREFIX is put before every single run, for machines whose users take turns.
Exit: 0 all bars reached, 1 a median falls short or a case has no valid run.
"""
import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
BINARIES = pathlib.Path(os.environ.get("HAWSER_BIN", PROJECT / "build/bin"))
RESULTS = HERE / "results.json"
TABLE = HERE / "results.md"
INVALID = 75

# What the simulator calls the same number.
IN_SIMULATOR = {
    "over_alone": "goodput over alone",
    "over_idle_p99": "echo.over_idle_p99",
    "lost_share": "echo.lost_share",
    "competitor_share": "other.of_link",
}


def commit():
    def git(*words):
        return subprocess.run(["git", "-C", PROJECT, *words], capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--", "common", "client", "server", "platform")
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + ("+changes" if changed else "")


def all_cases():
    lines = subprocess.run([HERE.parent / "bars.sh", "--list"], capture_output=True, text=True, check=True).stdout
    return [tuple(line.split()) for line in lines.splitlines()]


def chosen(words, cases):
    """A case's name takes all its variants, unless some are named after it."""
    groups = []
    for word in words:
        if any(case == word for case, _ in cases):
            groups.append((word, []))
        elif groups and (groups[-1][0], word) in cases:
            groups[-1][1].append(word)
        else:
            sys.exit(f"tests/run.sh bars: there is no case {word}; tests/netlab/bars.sh --list prints them")
    return [(case, v) for name, some in groups for case, v in cases if case == name and (not some or v in some)]


def measure(case, variant, congestion, offloads, runs):
    """The results of so many runs, each a dictionary, without the invalid ones; and how many were invalid."""
    results, invalid = [], 0
    for seed in range(1, runs + 1):
        command = shlex.split(os.environ.get("HAWSER_BARS_PREFIX", ""))
        command += [str(HERE.parent / "bars.sh"), case, variant, "--congestion", congestion, "--seed", str(seed), "--json"] + ([] if offloads else ["--no-offload"])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == INVALID:
            invalid += 1
            print(f"  {case} {variant} run {seed}: INVALID, the emulator was late", flush=True)
            continue
        if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
            sys.exit(f"tests/run.sh bars: {case} {variant}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        result = json.loads(done.stdout)
        results.append(result)
        numbers = ", ".join(f"{b['metric']} {b['value']:.4g}" for b in result["bars"])
        print(f"  {case} {variant} run {seed}: {numbers}: {result['outcome']}", flush=True)
    return results, invalid


def in_simulator(sim):
    """Every number of the simulator's scenario of the same links."""
    if not sim:
        return {}
    file, variant = sim.split("/")
    scenario = PROJECT / "tests/sim/scenarios" / (file + ".toml")
    done = subprocess.run([BINARIES / "hawser-sim", scenario, "--variant", variant, "--json"], capture_output=True, text=True, check=False)
    if not done.stdout.startswith("["):
        sys.exit(f"tests/run.sh bars: hawser-sim {sim}: {done.stderr}")
    found = json.loads(done.stdout)[0]
    return found["values"] | {bar["what"]: bar["ours"] for bar in found["bars"]}


def summarize(results, invalid, simulated, stamp):
    """One case's row of results.json."""
    first = results[0]
    row = {key: first[key] for key in ("case", "variant", "congestion", "offloads", "seconds", "ceiling", "peers", "sim")}
    row |= {"commit": stamp, "runs": len(results), "invalid": invalid, "bars": []}
    for i, bar in enumerate(first["bars"]):
        values = [r["bars"][i]["value"] for r in results]
        median = statistics.median(values)
        low = bar["side"] == "min"
        reached = None if bar["limit"] is None else (median >= bar["limit"] if low else median <= bar["limit"])
        row["bars"].append({k: bar[k] for k in ("metric", "side", "unit", "limit")} | {
            "median": median, "worst": min(values) if low else max(values), "reached": reached,
            "simulator": simulated.get(IN_SIMULATOR.get(bar["metric"], bar["metric"]))})
    row["values"] = {k: statistics.median([r["values"][k] for r in results if k in r["values"]]) for k in sorted(first["values"])}
    return row


def number(value, unit=""):
    if value is None:
        return ""
    text = f"{value:.3f}" if abs(value) < 10 and not unit else f"{value:.1f}"
    return f"{text} {unit}".strip()


def verdict(reached):
    return {True: "PASS", False: "**FALL SHORT**", None: "reported"}[reached]


def apart(bar):
    """By how much the simulator's value differs from netlab's median."""
    if bar["metric"] != "of_ceiling" or bar["simulator"] is None or not bar["median"]:
        return None
    return bar["simulator"] / bar["median"] - 1


def plain(row):
    return row["congestion"] == "cubic" and row.get("offloads", True)


def agreement(rows):
    """The simulator's truth check: P1 to P4 with CUBIC."""
    pairs = [(f"{r['case']} {r['variant']}", apart(b)) for r in rows if plain(r) and r["case"] in ("P1", "P2", "P3", "P4") for b in r["bars"]]
    pairs = [(name, d) for name, d in pairs if d is not None]
    off = [f"{name} ({d:+.1%})" for name, d in pairs if abs(d) > 0.05]
    return f"P1 to P4 in the simulator and in netlab: {len(pairs) - len(off)} of {len(pairs)} within 5 %" + (f"; apart: {', '.join(off)}" if off else "")


def row_order(cases):
    place = {case: i for i, case in enumerate(cases)}
    return lambda row: (place.get((row["case"], row["variant"]), 9999), row["congestion"] != "cubic", not row.get("offloads", True))


def write_table(rows, cases):
    lines = ["# What the bars measure", "",
             "Written by `tests/run.sh bars`; each row names the commit it was measured at. One flow of kernel TCP through the shipped programs in",
             "netlab; `down`, `up`, `four` (down), `both` (headings at once). Rates are shares of the ceiling: what TCP could carry if the links were one.",
             "The worst of the runs stands beside the median; the bar is asserted on the median. \"Simulator\" is the same scenario in `hawser-sim`.", "",
             "| case | inner TCP | what | bar | median | worst | runs | verdict | simulator | Mbit/s of ceiling | peers | commit |",
             "|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for row in sorted(rows, key=row_order(cases)):
        name = f"{row['case']} {row['variant']}"
        runs = str(row["runs"]) + (f" ({row['invalid']} invalid)" if row["invalid"] else "")
        for i, bar in enumerate(row["bars"]):
            sign = ">=" if bar["side"] == "min" else "<="
            limit = "" if bar["limit"] is None else f"{sign} {bar['limit']:g} {bar['unit']}".strip()
            rate = f"{row['values']['goodput']:.1f} of {row['ceiling']:.1f}" if "goodput" in row["values"] else ""
            cells = [name, row["congestion"] + ("" if row.get("offloads", True) else ", no offloads"), bar["metric"], limit, number(bar["median"], bar["unit"]), number(bar["worst"], bar["unit"]), runs,
                     verdict(bar["reached"]), number(bar["simulator"], bar["unit"]), rate if i == 0 else "", row["peers"] if i == 0 else "", row["commit"]]
            lines.append("| " + " | ".join(cells) + " |")
    lines += ["", agreement(sorted(rows, key=row_order(cases))) + "."]
    pairs = [row for row in sorted(rows, key=row_order(cases)) if row["case"] == "P5" and plain(row)]
    if pairs:
        lines += ["", "## P5: the pairs of mqvpn's suite, Mbit/s", "",
                  "Jitter keeps the order here; mqvpn's values are its published ones, under netem and with one HTTP/3 download.", "",
                  "| pair | first alone | second alone | both | ceiling | over the better | mqvpn |", "|---|---|---|---|---|---|---|"]
        for row in pairs:
            v = row["values"]
            lines.append(f"| {row['variant']} | {v['alone1']:.1f} | {v['alone2']:.1f} | {v['goodput']:.1f} | {row['ceiling']:.1f} | {v['over_alone']:.2f} | {row['peers']} |")
    TABLE.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(prog="tests/run.sh bars", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--congestion", default="cubic")
    parser.add_argument("--no-offload", dest="offloads", action="store_false")
    options = parser.parse_args()
    cases = all_cases()
    wanted = [(c, v, options.congestion, options.offloads) for c, v in chosen(options.case, cases)]
    if not options.case:
        wanted = [(c, v, options.congestion, options.offloads) for c, v in cases]
        wanted += [(c, v, "bbr", options.offloads) for c, v in cases if c in ("P1", "P2", "P3", "P4")]
    rows = {(r["case"], r["variant"], r["congestion"], r.get("offloads", True)): r for r in (json.loads(RESULTS.read_text()) if RESULTS.exists() else [])}
    stamp, ok = commit(), True
    for key in wanted:
        results, invalid = measure(*key, options.runs)
        if not results:
            print(f"{key[0]} {key[1]}: INVALID: no run in which the emulator was on time", flush=True)
            ok = False
            continue
        rows[key] = row = summarize(results, invalid, in_simulator(results[0]["sim"]), stamp)
        for bar in row["bars"]:
            sign = ">=" if bar["side"] == "min" else "<="
            limit = "" if bar["limit"] is None else f"{sign} {bar['limit']:g}"
            sim = "" if bar["simulator"] is None else f"simulator {number(bar['simulator'], bar['unit'])}"
            print(f"{key[0] + ' ' + key[1]:<22} {key[2] + ('' if key[3] else ' no offloads'):<6} {bar['metric']:<20} {limit:<9} median {number(bar['median'], bar['unit']):<9} "
                  f"worst {number(bar['worst'], bar['unit']):<9} {verdict(bar['reached']).strip('*'):<10} {sim}", flush=True)
        # A simulated or reported number has no say here, and with BBR inside nothing is asserted.
        ok = ok and (key[2] != "cubic" or all(bar["reached"] is not False for bar in row["bars"]))
        # Hours are not lost to a mistake in the last case.
        ordered = sorted(rows.values(), key=row_order(cases))
        RESULTS.write_text(json.dumps(ordered, indent=1) + "\n")
        write_table(ordered, cases)
    print(agreement(rows.values()))
    print(f"written: {TABLE.relative_to(PROJECT)}, {RESULTS.relative_to(PROJECT)}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
