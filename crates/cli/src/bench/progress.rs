//! The bar on a terminal; nothing where standard error is none.

use super::plan::{Plan, Step};
use super::report::Run;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Redrawn so seldom that the generator, which shares the processors with it, does not feel it.
const REDRAWN_EVERY: Duration = Duration::from_millis(500);

/// How far the bench is.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Begins to show it.
    pub(crate) fn new(steps: usize) -> Progress {
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} runs, {eta} left  {wide_msg}");
        let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("██░"));
        }
        bar.enable_steady_tick(REDRAWN_EVERY);
        Progress { bar }
    }

    /// A run begins.
    pub(crate) fn begins(&self, step: Step, plan: &Plan) {
        let name = &plan.variants[step.variant].subject.name;
        self.bar.set_message(format!("round {}: {name}, {} connections", step.round + 1, step.connections));
    }

    /// It has ended.
    pub(crate) fn ended(&self, run: &Run) {
        self.bar.set_message(format!(
            "{:.0} requests/s",
            run.requests as f64 / run.seconds.max(f64::MIN_POSITIVE)
        ));
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
