#!/usr/bin/env python3
# The faults of tests/e2e/failover.sh on three sets of links and in both headings, medians and worst runs as one table.
"""
    tests/run.sh bars faults [FAULT..] [--runs 5] [--links p1 wifi-lte three] [--heading down up] [--no-offload]

What is measured replaces its rows in tests/netlab/bars/faults.json, and faults.md there is written from it; both name the commit.
With --no-offload both ends use none of the kernel's offloads; such rows stand beside the others.
A run takes 20 s or so, of "all-down" and "flapping" more than a minute: all of them five times are four hours.
Exit: 0 all bars reached, 1 a median falls short or a combination could not be measured.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from table import PROJECT, commit

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "faults.json"
TABLE = HERE / "faults.md"
LINKS = {
    "p1": "20 Mbit/s 10 ms, 30 Mbit/s 25 ms",
    "wifi-lte": "50 Mbit/s 4 ms with 0.5 % loss and 4 ms of jitter, 30 Mbit/s 20 ms",
    "three": "20 Mbit/s 10 ms, 30 Mbit/s 25 ms, 10 Mbit/s 40 ms",
}
HEADINGS = ("down", "up")
TITLES = {"stall_ms": "Longest stall of the inner TCP, ms", "outage_ms": "Longest silence of the echo, ms",
          "share_ms": "Until the link carries its share again, ms", "echo_lost": "Packets of the echo lost for good (of 200 a second)"}


def measure(links, heading, offloads, runs, faults):
    """The rows of one combination; none when it could not be measured."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = ["bash", str(PROJECT / "tests/e2e/failover.sh"), "--runs", str(runs), "--bars", "--links", links, "--json", file.name]
        command += (["--up"] if heading == "up" else []) + ([] if offloads else ["--no-offload"]) + faults
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print("\n".join(line for line in done.stdout.splitlines() if line.startswith("-- ") and "stall" in line), flush=True)
        text = pathlib.Path(file.name).read_text()
        if not text:
            print(f"{links} {heading}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}", flush=True)
            return []
        return [row | {"links": links, "heading": heading, "offloads": offloads, "runs": runs} for row in json.loads(text)["results"]]


def place(row):
    """The row's column. Rows without the word are of the time when there was no such choice."""
    return (row["links"], row["heading"], row.get("offloads", True))


def title(column):
    links, heading, offloads = column
    return f"{links} {heading}" + ("" if offloads else ", no offloads")


def write_table(rows):
    columns = [(links, heading, offloads) for links in LINKS for heading in HEADINGS for offloads in (True, False)]
    columns = [c for c in columns if any(place(r) == c for r in rows)]
    lines = ["# What the faults cost", "",
             "Written by `tests/run.sh bars faults`: one flow of kernel TCP (CUBIC; four for those that end in `-back`) and an echo of 200 packets",
             "a second through the shipped programs in netlab while a link fails and returns. Median (worst); what is above its bar is bold.", ""]
    lines += [f"- `{name}`: {what}" for name, what in LINKS.items()]
    for number, what in TITLES.items():
        some = [r for r in rows if r["number"] == number]
        lines += ["", f"## {what}", "", "| fault | bar | " + " | ".join(title(c) for c in columns) + " |", "|---" * (len(columns) + 2) + "|"]
        for fault in dict.fromkeys(r["fault"] for r in some):
            cells, bar = [], ""
            for column in columns:
                found = next((r for r in some if (r["fault"], place(r)) == (fault, column)), None)
                if not found:
                    cells.append("")
                    continue
                bar = "" if found["bar"] is None else str(found["bar"])
                text = f"{found['median']} ({found['worst']})" if found["runs"] > 1 else str(found["median"])
                cells.append(f"**{text}**" if found["verdict"] == "SHORT" else text.replace("99999", "never"))
            lines.append(f"| {fault} | {bar} | " + " | ".join(cells) + " |")
    stamps = sorted({f"{title(place(r))}: {r['runs']} runs at {r['commit']}" for r in rows})
    lines += ["", "Measured: " + "; ".join(stamps) + "."]
    TABLE.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(prog="tests/run.sh bars faults", usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fault", nargs="*")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--links", nargs="+", choices=LINKS, default=list(LINKS))
    parser.add_argument("--heading", nargs="+", choices=HEADINGS, default=list(HEADINGS))
    parser.add_argument("--no-offload", dest="offloads", action="store_false")
    options = parser.parse_args()
    rows = {(*place(r), r["fault"], r["number"]): r for r in (json.loads(RESULTS.read_text()) if RESULTS.exists() else [])}
    stamp, ok = commit(), True
    for links in options.links:
        for heading in options.heading:
            print(title((links, heading, options.offloads)), flush=True)
            measured = measure(links, heading, options.offloads, options.runs, options.fault)
            ok = ok and bool(measured) and all(r["verdict"] != "SHORT" for r in measured)
            rows |= {(*place(r), r["fault"], r["number"]): r | {"commit": stamp} for r in measured}
            # Hours are not lost to a mistake in the last combination.
            RESULTS.write_text(json.dumps(list(rows.values()), indent=1) + "\n")
            write_table(list(rows.values()))
    print(f"written: {TABLE.relative_to(PROJECT)}, {RESULTS.relative_to(PROJECT)}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
