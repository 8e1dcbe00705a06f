//! `splitmem top`: the programs that run in managed memory, as they run.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use pcomponent_driver::transparent::stats::class_end;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize as _};
use ratatui::text::Line as Text;
use ratatui::widgets::{Bar, BarChart, BarGroup, Block, Row, Table, TableState};
use ratatui::Frame;

use crate::error::CliError;
use crate::facts::Facts;
use crate::run::live::{Line, Watch};

const EXAMPLES: &str = "\
Examples:
  splitmem top                      # in another terminal than 'splitmem run'
  splitmem top --once               # one table, for scripts
  splitmem top --once --json        # one flat JSON object for each process

Keys: up and down choose the process of the histogram, q ends.

Hits are not counted: a page in a local frame is mapped, and nobody sees its use. What tells whether
there is enough local memory is the share of time in misses.";

/// Watch the programs that run under 'splitmem run' on this machine.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Seconds between looks
    #[arg(long, default_value_t = 1.0, value_parser = interval)]
    interval: f64,
    /// Look once, print a table, and end
    #[arg(long)]
    once: bool,
    /// With --once: print a flat JSON object for each process instead
    #[arg(long, requires = "once")]
    json: bool,
}

fn interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.05 to 3600".to_owned()),
    }
}

impl Args {
    /// Watches until it is told to end.
    ///
    /// # Errors
    /// No terminal, or no output.
    pub fn run(self) -> Result<(), CliError> {
        let interval = Duration::from_secs_f64(self.interval);
        let mut watch = Watch::begin();
        if self.once {
            std::thread::sleep(interval);
            return print(&watch.look(), self.json);
        }
        if !std::io::stdout().is_terminal() {
            return Err(CliError::Usage("top needs a terminal; otherwise use --once".to_owned()));
        }
        let mut terminal = ratatui::try_init().map_err(CliError::Output)?;
        let ended = watch_on(&mut terminal, &mut watch, interval);
        ratatui::restore();
        ended.map_err(CliError::Output)
    }
}

fn watch_on(
    terminal: &mut ratatui::DefaultTerminal,
    watch: &mut Watch,
    interval: Duration,
) -> std::io::Result<()> {
    let mut chosen = TableState::default();
    chosen.select(Some(0));
    let mut lines = watch.look();
    loop {
        terminal.draw(|frame| draw(frame, &lines, &mut chosen))?;
        if !event::poll(interval)? {
            lines = watch.look();
            continue;
        }
        let Event::Key(key) = event::read()? else { continue };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
            KeyCode::Up => chosen.select_previous(),
            KeyCode::Down => chosen.select_next(),
            _ => {}
        }
    }
}

const HEADER: [&str; 9] = [
    "pid",
    "program",
    "touched MiB",
    "local MiB",
    "dirty MiB",
    "misses/s",
    "in misses",
    "median us",
    "prefetch",
];

fn cells(line: &Line) -> [String; 9] {
    let share = |share: f64| format!("{:.1} %", 100.0 * share);
    let dash = || "-".to_owned();
    [
        line.stats.pid.to_string(),
        line.name.clone(),
        format!("{:.1}", line.touched_mib()),
        format!("{:.1}", line.local_mib()),
        format!("{:.1}", line.dirty_mib()),
        format!("{:.0}", line.misses_per_second),
        share(line.in_misses),
        line.median_ns().map_or_else(dash, |ns| format!("{:.1}", ns as f64 / 1e3)),
        line.prefetch_accuracy().map_or_else(dash, share),
    ]
}

fn draw(frame: &mut Frame<'_>, lines: &[Line], chosen: &mut TableState) {
    let [top, bottom] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(14)]).areas(frame.area());
    let title = format!(" splitmem top: {} processes in managed memory ", lines.len());
    let widths = [8, 16, 12, 10, 10, 10, 10, 10, 9].map(Constraint::Length);
    let table = Table::new(lines.iter().map(|line| Row::new(cells(line))), widths)
        .header(Row::new(HEADER).bold())
        .row_highlight_style(Style::new().reversed())
        .block(Block::bordered().title(title));
    frame.render_stateful_widget(table, top, chosen);
    let line = chosen.selected().and_then(|i| lines.get(i)).or(lines.first());
    let Some(line) = line else {
        let text = Text::from("nothing runs; start something with: splitmem run -- PROGRAM");
        frame.render_widget(text.centered(), bottom);
        return;
    };
    let title = format!(
        " misses of {} ({}) since the last look, by the microseconds that they stayed below ",
        line.name, line.stats.pid
    );
    let bars: Vec<Bar<'_>> = doublings(&line.latency)
        .into_iter()
        .map(|(us, n)| Bar::default().label(Text::from(label(us))).value(n))
        .collect();
    let chart = BarChart::default()
        .data(BarGroup::default().bars(&bars))
        .bar_width(6)
        .bar_gap(1)
        .block(Block::bordered().title(title));
    frame.render_widget(chart, bottom);
}

fn label(us: f64) -> String {
    if us < 10.0 {
        format!("{us:.1}")
    } else {
        format!("{us:.0}")
    }
}

/// The histogram by doublings, from the first one to the last one that holds anything: microseconds
/// that they end at, and misses.
fn doublings(latency: &[u64]) -> Vec<(f64, u64)> {
    let sums: Vec<u64> = latency.chunks(4).map(|quarters| quarters.iter().sum()).collect();
    let first = sums.iter().position(|n| *n > 0).unwrap_or(0);
    let last = sums.iter().rposition(|n| *n > 0).map_or(first, |last| last + 1);
    let end = |i: usize| class_end(4 * i + 3) as f64 / 1e3;
    (first..last).map(|i| (end(i), sums[i])).collect()
}

fn print(lines: &[Line], json: bool) -> Result<(), CliError> {
    if !json {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING).set_header(HEADER);
        table.add_rows(lines.iter().map(cells));
        return say(&table.to_string());
    }
    for line in lines {
        let mut facts = Facts::new();
        facts.add("pid", "Process", line.stats.pid, "");
        facts.add("program", "Program", line.name.as_str(), "");
        let bytes = |mib: f64| (mib * 1_048_576.0) as u64;
        facts.add("touched_bytes", "Touched", bytes(line.touched_mib()), "bytes");
        facts.add("local_bytes", "Local", bytes(line.local_mib()), "bytes");
        facts.add("dirty_bytes", "Dirty", bytes(line.dirty_mib()), "bytes");
        facts.add("misses", "Misses", line.stats.misses, "pages");
        facts.add("misses_per_second", "Misses a second", line.misses_per_second, "pages/s");
        facts.add("in_misses", "Share of time in misses", line.in_misses, "");
        let median = line.median_ns().map_or(f64::NAN, |ns| ns as f64 / 1e3);
        facts.add("miss_us_p50", "Median miss, below", median, "us");
        let accuracy = line.prefetch_accuracy().unwrap_or(f64::NAN);
        facts.add("prefetch_accuracy", "Prefetched and used", accuracy, "");
        say(&facts.json())?;
    }
    Ok(())
}

fn say(text: &str) -> Result<(), CliError> {
    writeln!(std::io::stdout(), "{text}").map_err(CliError::Output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcomponent_driver::transparent::StatsPage;
    use ratatui::backend::TestBackend;
    use ratatui::Terminal;

    fn line(pid: u64) -> Line {
        let mut stats = StatsPage::new().read();
        (stats.pid, stats.live, stats.resident, stats.dirty) = (pid, 1024, 256, 128);
        (stats.prefetched, stats.prefetch_useful) = (100, 50);
        let mut latency = stats.latency.clone();
        (latency[30], latency[31], latency[36]) = (10, 1, 5);
        Line { name: "sorter".into(), stats, misses_per_second: 777.0, in_misses: 0.25, latency }
    }

    #[test]
    fn the_screen_shows_every_process_and_a_histogram() {
        let mut terminal = Terminal::new(TestBackend::new(110, 30)).unwrap();
        let mut chosen = TableState::default();
        terminal.draw(|frame| draw(frame, &[line(4242), line(4343)], &mut chosen)).unwrap();
        let screen = terminal.backend().to_string();
        for word in ["4242", "4343", "sorter", "4.0", "1.0", "0.5", "777", "25.0 %", "50.0 %"] {
            assert!(screen.contains(word), "{word} in\n{screen}");
        }
        assert!(screen.contains("misses of sorter (4242)") && screen.contains("11"), "{screen}");
        terminal.draw(|frame| draw(frame, &[], &mut chosen)).unwrap();
        assert!(terminal.backend().to_string().contains("nothing runs"));
    }

    #[test]
    fn doublings_keep_every_miss() {
        let bars = doublings(&line(1).latency);
        assert_eq!(bars.iter().map(|(_, n)| n).sum::<u64>(), 16);
        assert_eq!(bars.len(), 3);
        assert!(doublings(&[0; 96]).is_empty());
    }
}
