//! Any sequence of what writers, rotation and restarts do: what is read is what was written.

use super::{World, line, lines, records};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;

#[derive(Clone, Debug)]
enum Op {
    Append(usize),
    Half,
    Rotate,
    RotateAndCompress,
    CopyAndTruncate,
    Restart,
    Poll,
    PollAndFail,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1_usize..6).prop_map(Op::Append),
        1 => Just(Op::Half),
        2 => Just(Op::Rotate),
        1 => Just(Op::RotateAndCompress),
        1 => Just(Op::CopyAndTruncate),
        2 => Just(Op::Restart),
        4 => Just(Op::Poll),
        1 => Just(Op::PollAndFail),
    ]
}

/// A writer with a line begun, in a world.
struct Simulation {
    world: World,
    written: usize,
    half: Option<String>,
    rotations: usize,
}

impl Simulation {
    fn complete(&mut self) {
        if let Some(rest) = self.half.take() {
            self.world.append("log", rest);
            self.written += 1;
        }
    }

    fn rotate(&mut self) -> String {
        self.complete();
        self.rotations += 1;
        let name = format!("log.{}", self.rotations);
        if self.world.path("log").exists() {
            self.world.rename("log", &name);
        }
        self.world.append("log", "");
        name
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Append(count) => {
                self.complete();
                self.world.append("log", lines(self.written..self.written + count));
                self.written += count;
            }
            Op::Half if self.half.is_none() => {
                let text = line(self.written);
                let (half, rest) = text.split_at(20);
                self.world.append("log", half);
                self.half = Some(rest.to_owned());
            }
            Op::Half => {}
            Op::Rotate => drop(self.rotate()),
            Op::RotateAndCompress => {
                let name = self.rotate();
                if self.world.path(&name).exists() {
                    self.world.compress(&name);
                }
            }
            Op::CopyAndTruncate => {
                self.complete();
                self.rotations += 1;
                let copy = self.world.path(&format!("log.{}", self.rotations));
                fs::copy(self.world.path("log"), copy).unwrap();
                self.world.write("log", "");
            }
            Op::Restart => self.world.restart(),
            Op::Poll => drop(self.world.poll()),
            Op::PollAndFail => {
                self.world.follower.poll(3, 1 << 20);
                self.world.follower.reset();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_what_is_read_is_what_was_written(
        ops in prop::collection::vec(op(), 1..40),
        watches_folder in any::<bool>(),
    ) {
        let world = World::new(&[if watches_folder { "." } else { "log" }]);
        let mut simulation = Simulation { world, written: 0, half: None, rotations: 0 };
        // What was rotated before the first look is none of a followed file's business.
        simulation.world.append("log", "");
        simulation.world.poll();
        for op in &ops {
            simulation.step(op);
        }
        simulation.complete();
        simulation.world.read_out();
        let got: BTreeSet<&String> = simulation.world.got.iter().collect();
        let written = records(0..simulation.written);
        prop_assert_eq!(got, written.iter().collect::<BTreeSet<_>>(), "{:?}", ops);
    }
}
