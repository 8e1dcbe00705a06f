//! A slice of the soak: every mode on both configurations. What `splitmem lockstep` runs with the
//! printed arguments is the same case.

use verilator_tb::lockstep::{run, Case, Mode, Summary, TraceTo};
use verilator_tb::Hw;

const REQUESTS: u64 = 12_000;
const SEEDS: std::ops::Range<u64> = 1..3;

fn slice(hw: Hw) -> Summary {
    let mut sum = Summary::default();
    for seed in SEEDS {
        for (mode, _) in Mode::ALL {
            let case = Case { hw, mode, seed, requests: REQUESTS };
            println!("{case}");
            match run(&case, None, &mut |_| true) {
                Ok(summary) => sum.add(&summary),
                Err(error) => panic!("{error}"),
            }
        }
    }
    sum
}

/// What the slice must have gone through to be worth anything.
fn check(sum: &Summary) {
    assert_eq!(sum.requests, REQUESTS * SEEDS.count() as u64 * Mode::ALL.len() as u64);
    assert!(sum.by_status.iter().all(|&n| n > 100), "{sum:?}");
    assert!(sum.by_op.iter().all(|&n| n > 100), "{sum:?}");
    assert!(sum.stale > 100 && sum.faults > 500 && sum.huge > 5000, "{sum:?}");
    assert!(sum.same_line > 5000 && sum.shootdowns > 500, "{sum:?}");
    assert!(sum.table_commands.iter().all(|&n| n > 100), "{sum:?}");
    assert!(sum.recycled > 200 && sum.events > 400, "{sum:?}");
}

#[test]
fn the_large_component_agrees_with_the_model() {
    check(&slice(Hw::Large));
}

#[test]
fn the_small_component_agrees_with_the_model() {
    check(&slice(Hw::Small));
}

#[test]
fn a_case_is_its_seed() {
    let case = |seed| Case { hw: Hw::Small, mode: Mode::Mixed, seed, requests: 2000 };
    let run = |seed| run(&case(seed), None, &mut |_| true).unwrap();
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).cycles, run(6).cycles);
}

/// The fast model is cut in two and leaves out what rests; one that can be traced is Verilated whole.
/// Stimulus, register accesses and memory latencies depend on what the component did before, so that
/// one cycle's difference would change all that follows.
#[test]
fn the_cut_component_and_the_whole_one_are_the_same() {
    let never = TraceTo { path: "never written".into(), from: u64::MAX };
    for hw in Hw::ALL {
        for (mode, _) in Mode::ALL {
            let case = Case { hw, mode, seed: 3, requests: 2000 };
            println!("{case}");
            let cut = run(&case, None, &mut |_| true).unwrap();
            assert_eq!(cut, run(&case, Some(&never), &mut |_| true).unwrap());
        }
    }
}
