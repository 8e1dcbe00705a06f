//! PageRank (Page and others, 1999) over a graph in compressed sparse rows.
//!
//! The edge list is one `FROM TO` a line, the form that SNAP and many others publish; lines that
//! begin with `#` or `%` are remarks. Node numbers need not be dense. Everything that grows with
//! the graph lives in the memory: the edges, the table that makes the numbers dense, the rows, the
//! ranks. Ranks are pulled along incoming edges, so every sum has one fixed order, and two runs
//! agree to the last bit.

use super::memory::{MemoryError, WorkMemory};
use super::table::ProbeTable;
use super::{Outcome, WorkError, Workload};
use crate::facts::Facts;

/// Nodes that an incoming edge may name: its source is a `u32`.
const NODES_MAX: u64 = 1 << 32;
const EDGE: u64 = 8;
/// Sources of one row that are read at a time.
const ROW_PIECE: usize = 256;

/// Ranks the nodes of a graph.
#[derive(Debug)]
pub struct PageRank<'a> {
    /// The edge list, as text.
    pub edges: &'a [u8],
    /// How often the ranks are computed anew.
    pub iterations: u32,
    /// Probability of following an edge, between 0 and 1; 0.85 in the paper.
    pub damping: f64,
}

/// The rank of each node, in the order in which the edge list first names them.
#[derive(Debug, PartialEq)]
pub struct Ranks {
    ranks: Vec<(u64, f64)>,
    edges: u64,
}

impl Ranks {
    /// Node number and rank.
    pub fn iter(&self) -> impl Iterator<Item = (u64, f64)> + '_ {
        self.ranks.iter().copied()
    }
}

/// The graph in the memory.
struct Graph {
    nodes: u64,
    edges: u64,
    /// Number of each node as the edge list has it: `u64`.
    names: u64,
    /// Edges that leave each node: `u64`.
    out_degrees: u64,
    /// Where the incoming edges of each node begin in `sources`; one more at the end: `u64`.
    rows: u64,
    /// Where each incoming edge comes from: `u32`.
    sources: u64,
}

impl Workload for PageRank<'_> {
    type Outcome = Ranks;

    fn run<M: WorkMemory>(
        &self,
        memory: &mut M,
        watch: &mut dyn FnMut(u64, u64),
    ) -> Result<Ranks, WorkError> {
        let graph = Graph::load(memory, self.edges)?;
        let n = graph.nodes;
        let (mut ranks, mut next) = (memory.alloc(n * 8)?, memory.alloc(n * 8)?);
        // What a node gives along each of its edges; divided once and read once per edge.
        let shares = memory.alloc(n * 8)?;
        for v in 0..n {
            memory.write_f64(ranks + v * 8, 1.0 / n as f64)?;
        }
        let total = n * u64::from(self.iterations);
        for iteration in 0..u64::from(self.iterations) {
            let mut dangling = 0.0;
            for v in 0..n {
                let rank = memory.read_f64(ranks + v * 8)?;
                let degree = memory.read_u64(graph.out_degrees + v * 8)?;
                if degree == 0 {
                    dangling += rank;
                }
                memory.write_f64(shares + v * 8, rank / degree.max(1) as f64)?;
                memory.operation("share rank");
            }
            // Everyone's part: of the jumps, and of the nodes that lead nowhere.
            let base = (1.0 - self.damping + self.damping * dangling) / n as f64;
            for v in 0..n {
                let sum = graph.gather(memory, shares, v)?;
                memory.write_f64(next + v * 8, base + self.damping * sum)?;
                memory.operation("gather rank");
                watch(iteration * n + v + 1, total);
            }
            std::mem::swap(&mut ranks, &mut next);
        }
        let mut result = Vec::with_capacity(usize::try_from(n).unwrap_or(0));
        for v in 0..n {
            let name = memory.read_u64(graph.names + v * 8)?;
            result.push((name, memory.read_f64(ranks + v * 8)?));
        }
        Ok(Ranks { ranks: result, edges: graph.edges })
    }
}

impl Graph {
    fn load<M: WorkMemory>(memory: &mut M, text: &[u8]) -> Result<Self, WorkError> {
        // Not more than there are lines; counted first, so that one allocation holds them all.
        let bound = edges(text).count() as u64;
        if bound == 0 {
            return Err(WorkError::Empty("the edge list has no edges"));
        }
        if 2 * bound > NODES_MAX {
            return Err(WorkError::TooLarge("more than 2^31 edges"));
        }
        let list = memory.alloc(bound * EDGE)?;
        let names = memory.alloc(2 * bound * 8)?;
        let mut numbers = ProbeTable::new(memory)?;
        let mut nodes = 0;
        let mut number = |memory: &mut M, name: u64| -> Result<u32, MemoryError> {
            // The hash is the name itself, so an equal hash is the same node.
            if let Some(found) = numbers.find(memory, name, |_, _| Ok(true))? {
                return Ok((found - 1) as u32);
            }
            memory.write_u64(names + nodes * 8, name)?;
            nodes += 1;
            numbers.insert(memory, name, nodes)?;
            Ok((nodes - 1) as u32)
        };
        for (i, edge) in edges(text).enumerate() {
            let (from, to) = edge?;
            let at = list + i as u64 * EDGE;
            let (from, to) = (number(memory, from)?, number(memory, to)?);
            memory.write_u32(at, from)?;
            memory.write_u32(at + 4, to)?;
            memory.operation("add edge");
        }
        let mut graph = Self {
            nodes,
            edges: bound,
            names,
            out_degrees: memory.alloc(nodes * 8)?,
            rows: memory.alloc((nodes + 1) * 8)?,
            sources: memory.alloc(bound * 4)?,
        };
        graph.fill_rows(memory, list)?;
        memory.free(list)?;
        Ok(graph)
    }

    /// Counting sort of the edges by where they lead; within a row they keep their order.
    fn fill_rows<M: WorkMemory>(&mut self, memory: &mut M, list: u64) -> Result<(), MemoryError> {
        let add = |memory: &mut M, at: u64| {
            let value = memory.read_u64(at)?;
            memory.write_u64(at, value + 1)?;
            Ok(value)
        };
        for edge in 0..self.edges {
            let from = u64::from(memory.read_u32(list + edge * EDGE)?);
            let to = u64::from(memory.read_u32(list + edge * EDGE + 4)?);
            add(memory, self.out_degrees + from * 8)?;
            // One place further on, so that the sums below begin at zero.
            add(memory, self.rows + (to + 1) * 8)?;
            memory.operation("count degree");
        }
        let cursors = memory.alloc(self.nodes * 8)?;
        let mut start = 0;
        for v in 0..self.nodes {
            memory.write_u64(cursors + v * 8, start)?;
            start += memory.read_u64(self.rows + (v + 1) * 8)?;
            memory.write_u64(self.rows + (v + 1) * 8, start)?;
        }
        for edge in 0..self.edges {
            let from = memory.read_u32(list + edge * EDGE)?;
            let to = u64::from(memory.read_u32(list + edge * EDGE + 4)?);
            let place = add(memory, cursors + to * 8)?;
            memory.write_u32(self.sources + place * 4, from)?;
            memory.operation("fill row");
        }
        memory.free(cursors)
    }

    /// Sum of what reaches `v`, in the order of its row.
    fn gather<M: WorkMemory>(
        &self,
        memory: &mut M,
        shares: u64,
        v: u64,
    ) -> Result<f64, MemoryError> {
        let mut at = memory.read_u64(self.rows + v * 8)?;
        let end = memory.read_u64(self.rows + (v + 1) * 8)?;
        let mut sum = 0.0;
        let mut piece = [0; 4 * ROW_PIECE];
        while at < end {
            let count = (end - at).min(ROW_PIECE as u64);
            let bytes = &mut piece[..4 * count as usize];
            memory.read(self.sources + at * 4, bytes)?;
            for source in bytes.chunks_exact(4) {
                let source = u32::from_le_bytes([source[0], source[1], source[2], source[3]]);
                sum += memory.read_f64(shares + u64::from(source) * 8)?;
            }
            at += count;
        }
        Ok(sum)
    }
}

/// The edges of the text, or what is wrong with a line.
fn edges(text: &[u8]) -> impl Iterator<Item = Result<(u64, u64), WorkError>> + '_ {
    text.split(|&b| b == b'\n').zip(1..).filter_map(|(line, number)| {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") || line.starts_with(b"%") {
            return None;
        }
        Some(edge(line).ok_or_else(|| WorkError::Edge {
            line: number,
            text: String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned(),
        }))
    })
}

fn edge(line: &[u8]) -> Option<(u64, u64)> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let from = words.next()?.parse().ok()?;
    let to = words.next()?.parse().ok()?;
    words.next().is_none().then_some((from, to))
}

impl Outcome for Ranks {
    fn difference(&self, oracle: &Self) -> Option<String> {
        if self.ranks.len() != oracle.ranks.len() {
            let (ours, right) = (self.ranks.len(), oracle.ranks.len());
            return Some(format!("{ours} nodes, expected {right}"));
        }
        // Bit by bit: with one order of summation there is no rounding to forgive.
        self.iter()
            .zip(oracle.iter())
            .find(|(a, b)| (a.0, a.1.to_bits()) != (b.0, b.1.to_bits()))
            .map(|((node, rank), (right_node, right_rank))| {
                format!("node {node} has rank {rank:e}, expected {right_node} with {right_rank:e}")
            })
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        facts.add("nodes", "Nodes", self.ranks.len() as u64, "nodes");
        facts.add("edges", "Edges", self.edges, "edges");
        facts.add("rank_sum", "Sum of all ranks", self.iter().map(|(_, r)| r).sum::<f64>(), "");
        if let Some((node, rank)) = self.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
            facts.add("top_node", "Highest rank", node, "(its number)");
            facts.add("top_rank", "Its rank", rank, "");
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::LocalMemory;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn rank(edges: &[u8]) -> Result<Ranks, WorkError> {
        PageRank { edges, iterations: 50, damping: 0.85 }
            .run(&mut LocalMemory::new(), &mut |_, _| {})
    }

    #[test]
    fn a_known_graph_gets_its_ranks() {
        // Two nodes point at a third, which leads nowhere. By hand, with s the rank of each of the
        // two and t of the third: s = 0.15/3 + 0.85 t/3, t = s + 0.85 * 2 s, 2 s + t = 1.
        let ranks = rank(b"# from to\n1 3\n2\t3\n").unwrap();
        let ranks: HashMap<_, _> = ranks.iter().collect();
        let s = 1.0 / 4.7;
        assert!((ranks[&1] - s).abs() < 1e-12 && (ranks[&2] - s).abs() < 1e-12, "{ranks:?}");
        assert!((ranks[&3] - 2.7 * s).abs() < 1e-12, "{ranks:?}");
    }

    #[test]
    fn a_malformed_edge_gives_its_line() {
        for (text, expected) in [("1 2\n3\n", 2), ("1 2\n\n# x\n4 x", 4), ("1 2 3", 1), ("-1 2", 1)]
        {
            match rank(text.as_bytes()) {
                Err(WorkError::Edge { line, .. }) => assert_eq!(line, expected, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
        assert!(matches!(rank(b"# nothing\n"), Err(WorkError::Empty(_))));
    }

    #[test]
    fn a_difference_of_one_bit_is_seen() {
        let a = rank(b"1 2\n2 1\n").unwrap();
        let mut b = rank(b"1 2\n2 1\n").unwrap();
        assert_eq!(a.difference(&b), None);
        b.ranks[1].1 = f64::from_bits(b.ranks[1].1.to_bits() ^ 1);
        assert!(a.difference(&b).unwrap().contains("node 2"));
    }

    proptest! {
        #[test]
        fn it_ranks_like_a_dense_matrix(
            list in prop::collection::vec((0u64..12, 0u64..12), 1..60)
        ) {
            let text: String = list.iter().map(|(a, b)| format!("{} {}\n", a * 1_000_003, b * 1_000_003)).collect();
            let ranks = rank(text.as_bytes()).unwrap();
            let mut names: Vec<u64> = Vec::new();
            for &(a, b) in &list {
                for v in [a, b] {
                    if !names.contains(&v) {
                        names.push(v);
                    }
                }
            }
            let n = names.len();
            let at = |name| names.iter().position(|&v| v == name).unwrap();
            let mut out = vec![0.0f64; n];
            for &(a, _) in &list {
                out[at(a)] += 1.0;
            }
            let mut r = vec![1.0 / n as f64; n];
            for _ in 0..50 {
                let dangling: f64 = (0..n).filter(|&v| out[v] == 0.0).map(|v| r[v]).sum();
                let mut next = vec![(0.15 + 0.85 * dangling) / n as f64; n];
                for &(a, b) in &list {
                    next[at(b)] += 0.85 * r[at(a)] / out[at(a)];
                }
                r = next;
            }
            prop_assert_eq!(ranks.ranks.len(), n);
            for ((name, rank), (expected_name, expected)) in ranks.iter().zip(names.iter().zip(&r)) {
                prop_assert_eq!(name, expected_name * 1_000_003);
                prop_assert!((rank - expected).abs() < 1e-12);
            }
        }
    }
}
