//! `heapledger top`

use std::io::{self, IsTerminal};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Terminal};

use super::top_screen::draw;
use super::top_state::{Ask, Source, State};
use crate::cli::context::Context;
use crate::cli::exit::Outcome;
use crate::cli::input::parse;
use crate::cli::interrupt;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Keys: q ends, p pauses, s sorts the largest movers (by bytes, by events, newest first), ← and →
step through the events and show how full the space was just after each, l is back to now.

In the bar of the content, █ is content and ░ is the rest of arenas.

Examples:
  heapledger top --once              # one screen, without a terminal
  heapledger top --once --format json --interval 100ms | jq .rates

At a terminal, heapledger top shows the figures until q is pressed. Rates are those of the time
between two looks. Reads write nothing, and no process sees those of another, so there is no
rate of gets.")]
pub struct Args {
    /// Look twice, print the figures, and end
    #[arg(long)]
    once: bool,

    /// How long to wait between two looks: 500ms, 1s
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse::duration)]
    interval: Duration,
}

pub fn run(args: &Args, context: &Context<'_>) -> Result<Outcome> {
    let mut source = Source::new(context.follow()?);
    if args.once {
        source.sample()?;
        sleep(args.interval);
        let state = State::new(source.sample()?);
        let screen = screen(&state, context)?;
        return context.answer(&state.sample, |out| out.write_all(screen.as_bytes()));
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        bail!("top needs a terminal; --once prints the figures anywhere");
    }
    let state = State::new(source.sample()?);
    // Otherwise a signal would leave the terminal without echo.
    interrupt::before_the_end(ratatui::restore);
    let terminal = ratatui::try_init()?;
    let shown = show(terminal, state, &mut source, args.interval, context);
    ratatui::restore();
    shown.map(|()| Outcome::Fine)
}

fn show(
    mut terminal: DefaultTerminal,
    mut state: State,
    source: &mut Source,
    interval: Duration,
    context: &Context<'_>,
) -> Result<()> {
    let mut looked = Instant::now();
    loop {
        terminal.draw(|frame| draw(frame, &state, context.sizes()))?;
        if event::poll(interval.saturating_sub(looked.elapsed()))? {
            if let Some(ask) = asked(&event::read()?)
                && !state.ask(ask, &source.memory)
            {
                return Ok(());
            }
        } else {
            looked = Instant::now();
            if state.is_live() {
                state.sample = source.sample()?;
            }
        }
    }
}

fn asked(event: &Event) -> Option<Ask> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press,
        ..
    }) = event
    else {
        return None;
    };
    Some(match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Ask::Quit,
        KeyCode::Char('q') | KeyCode::Esc => Ask::Quit,
        KeyCode::Char('p' | ' ') => Ask::Pause,
        KeyCode::Char('s') => Ask::Sort,
        KeyCode::Char('l') | KeyCode::End => Ask::Live,
        KeyCode::Left => Ask::Back,
        KeyCode::Right => Ask::Forth,
        _ => return None,
    })
}

/// One screen as text.
fn screen(state: &State, context: &Context<'_>) -> Result<String> {
    let width = context.output().columns().unwrap_or(100).min(200) as u16;
    let mut terminal = Terminal::new(TestBackend::new(width, 24))?;
    terminal.draw(|frame| draw(frame, state, context.sizes()))?;
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(usize::from(width.max(1)));
    let mut text = String::new();
    // The last line is about keys.
    for line in lines.take(23) {
        let line: String = line.iter().map(|cell| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Ok(format!("{}\n", text.trim_end()))
}
