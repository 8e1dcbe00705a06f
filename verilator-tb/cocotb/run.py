#!/usr/bin/env python3
"""Verilates the emitted front ends and runs the cocotb suites on them.

Started by `make cosim` with the Python beside which scripts/setup.sh put Verilator and cocotb. Each
suite is a module test_*.py here, on a module that `splitmem hdl emit` writes.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import sysconfig

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Suite -> module.
SUITES = {"test_axi": "axi_port", "test_pcie_uscale": "pcie_uscale"}
EMIT = ["cargo", "run", "-q", "--release", *(["--locked"] if os.environ.get("CI") else []),
        "-p", "splitmem", "--", "hdl", "emit"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("suites", nargs="*", help=f"of {', '.join(SUITES)}; default all")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "target/cosim", help="folder for what is built")
    parser.add_argument("--verilog", type=pathlib.Path, help="Verilog to use instead of emitting it")
    parser.add_argument("--test", help="only the test of this name")
    parser.add_argument("--seed", type=int, default=1, help="of all random choices (default 1)")
    parser.add_argument("--waves", action="store_true", help="write an FST trace")
    args = parser.parse_args()

    verilator = pathlib.Path(sysconfig.get_path("purelib")) / "verilator"
    os.environ["VERILATOR_ROOT"] = str(verilator)
    os.environ["PATH"] = f"{verilator / 'bin'}:{os.environ['PATH']}"
    # Verilator asks its compiler whether it has precompiled headers, and the answer does not fit every one.
    os.environ["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
    from cocotb_tools.runner import get_runner, get_results

    failed = []
    for suite in args.suites or SUITES:
        work = args.work / suite
        work.mkdir(parents=True, exist_ok=True)
        module = SUITES[suite]
        source = args.verilog or work / f"{module}.v"
        if not args.verilog:
            subprocess.run([*EMIT, "-o", str(work)], check=True, cwd=ROOT)
        runner = get_runner("verilator")
        runner.build(
            sources=[source], hdl_toplevel=module, build_dir=work / "build", waves=args.waves,
            build_args=["-Wno-fatal", "-Wno-lint", "-Wno-style", "--x-initial", "unique", "--no-timing",
                        "--output-split", "8000", "-CFLAGS", "-O0"],
            log_file=work / "build.log",
        )
        results = runner.test(
            hdl_toplevel=module, test_module=suite, test_dir=HERE, build_dir=work / "build",
            results_xml=str(work / "results.xml"), seed=args.seed, waves=args.waves,
            testcase=args.test, extra_env={"PYTHONPATH": str(HERE)},
            log_file=work / "test.log",
        )
        tests, bad = get_results(results)
        print(f"cosim: {suite}: {tests - bad} of {tests} tests passed (seed {args.seed})", flush=True)
        if bad or tests == 0:
            failed.append(suite)
            print("".join((work / "test.log").read_text().splitlines(keepends=True)[-120:]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
