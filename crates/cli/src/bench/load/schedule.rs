//! When the requests of an open loop are due: one every `1 / rate` seconds, each connection in its turn.

/// The turns of the connections of one thread.
pub(super) struct Schedule {
    start_ns: u64,
    interval_ns: f64,
    /// The connections of all threads that have turns.
    active: usize,
    /// Of this thread: the first, then every `step`th.
    first: usize,
    step: usize,
    /// The next one due here: its round and which of the thread's own.
    round: u64,
    index: usize,
}

impl Schedule {
    pub(super) fn new(start_ns: u64, rate: f64, active: usize, first: usize, step: usize) -> Schedule {
        Schedule { start_ns, interval_ns: 1e9 / rate, active, first, step, round: 0, index: 0 }
    }

    /// When a connection's request of this round is due.
    pub(super) fn due_ns(&self, connection: usize, round: u64) -> u64 {
        let turn = round as f64 * self.active as f64 + connection as f64;
        self.start_ns + (turn * self.interval_ns) as u64
    }

    /// When the next one of this thread is due, if any of its connections has turns.
    pub(super) fn next_ns(&self) -> Option<u64> {
        (self.first < self.active).then(|| self.due_ns(self.first + self.index * self.step, self.round))
    }

    /// Takes the next one if it is due by `now_ns`: which of the thread's own connections it is for.
    pub(super) fn take(&mut self, now_ns: u64) -> Option<usize> {
        self.next_ns().filter(|due| *due <= now_ns)?;
        let index = self.index;
        self.index += 1;
        if self.first + self.index * self.step >= self.active {
            self.index = 0;
            self.round += 1;
        }
        Some(index)
    }

    /// How many rounds of a connection are due before `now_ns`.
    pub(super) fn rounds_before(&self, connection: usize, now_ns: u64) -> u64 {
        let turns = now_ns.saturating_sub(self.start_ns) as f64 / self.interval_ns - connection as f64;
        (turns / self.active as f64).ceil().max(0.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_together_send_at_even_distances() {
        let mut schedules: Vec<_> = (0..3).map(|first| Schedule::new(500, 1e6, 7, first, 3)).collect();
        let mut due = Vec::new();
        for (first, schedule) in schedules.iter_mut().enumerate() {
            while let Some(at) = schedule.next_ns().filter(|at| *at < 500 + 100_000) {
                let index = schedule.take(at).unwrap();
                due.push((at, first + 3 * index));
            }
        }
        due.sort_unstable();
        let expected: Vec<_> = (0..100).map(|turn| (500 + turn * 1000, turn as usize % 7)).collect();
        assert_eq!(due, expected);
    }

    #[test]
    fn rounds_are_counted_up_to_a_moment() {
        let schedule = Schedule::new(0, 1e6, 4, 0, 1);
        let counts: Vec<_> =
            [0, 1, 4000, 4001, 8001].iter().map(|now| schedule.rounds_before(0, *now)).collect();
        assert_eq!(counts, [0, 1, 1, 2, 3]);
        assert_eq!((schedule.rounds_before(3, 3000), schedule.rounds_before(3, 3001)), (0, 1));
    }

    #[test]
    fn a_thread_without_active_connections_has_nothing_due() {
        assert_eq!(Schedule::new(0, 1.0, 1, 1, 2).next_ns(), None);
    }
}
