//! Draws the requests: their sizes, and which of them are costly.

use super::dialogue::Request;
use super::pattern::Random;
use super::{Kind, Load};
use doorbell_service::{BURN_HEAD_BYTES, burn};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Of one thread.
pub(super) struct Draw {
    random: Random,
    size_min: usize,
    /// How many sizes there are.
    sizes: u64,
    costly: Option<Costly>,
}

struct Costly {
    /// Of 2^32 requests.
    share: u64,
    rounds: u32,
}

impl Draw {
    pub(super) fn new(load: &Load, thread: usize) -> Draw {
        let costly = match load.kind {
            Kind::Skew { share, cost } => {
                Some(Costly { share: (share * 2f64.powi(32)) as u64, rounds: rounds(cost) })
            }
            _ => None,
        };
        // A head and one byte behind it.
        let least = if costly.is_some() { BURN_HEAD_BYTES + 1 } else { 1 };
        let size_min = load.size_min.max(least);
        let sizes = (load.size_max.max(size_min) - size_min) as u64 + 1;
        Draw { random: Random::new(thread as u64), size_min, sizes, costly }
    }

    pub(super) fn request(&mut self, due_ns: u64, sent_ns: u64) -> Request {
        let size = match self.sizes {
            1 => self.size_min,
            // Sizes end at 16 MiB, so each is as likely as another to one in a hundred.
            sizes => self.size_min + ((u64::from(self.random.next()) * sizes) >> 32) as usize,
        };
        let rounds = self
            .costly
            .as_ref()
            .map(|costly| if u64::from(self.random.next()) < costly.share { costly.rounds } else { 0 });
        Request { size, rounds, due_ns, sent_ns }
    }
}

/// How many rounds cost so much processor time on this machine. Measured once, so that every server gets the same.
fn rounds(cost: Duration) -> u32 {
    static ROUND_NS: OnceLock<f64> = OnceLock::new();
    let round_ns = *ROUND_NS.get_or_init(|| {
        const ROUNDS: u32 = 1_000_000;
        // The shortest is the one that nobody interrupted.
        let times = (0..7).map(|_| {
            let start = Instant::now();
            burn(ROUNDS);
            start.elapsed()
        });
        times.min().unwrap_or_default().as_nanos().max(1) as f64 / f64::from(ROUNDS)
    });
    // A head has room for about four seconds.
    ((cost.as_nanos() as f64 / round_ns) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(kind: Kind, size_min: usize, size_max: usize) -> Load {
        Load { kind, size_min, size_max, ..super::super::tests::load() }
    }

    #[test]
    fn every_size_of_a_range_comes_and_no_other() {
        let mut draw = Draw::new(&load(Kind::Echo, 3, 9), 0);
        let mut seen = [0; 12];
        (0..7000).for_each(|_| seen[draw.request(0, 0).size] += 1);
        assert!(seen[3..=9].iter().all(|count| (800..1200).contains(count)), "{seen:?}");
        assert_eq!(seen.iter().sum::<i32>(), 7000);
    }

    #[test]
    fn a_share_of_the_requests_is_costly() {
        let kind = Kind::Skew { share: 0.1, cost: Duration::from_millis(1) };
        let mut draw = Draw::new(&load(kind, 1, 1), 0);
        let requests: Vec<_> = (0..10_000).map(|_| draw.request(0, 0)).collect();
        let costly = requests.iter().filter(|request| request.rounds != Some(0)).count();
        assert!((800..1200).contains(&costly), "{costly}");
        assert!(requests.iter().all(|request| request.size == BURN_HEAD_BYTES + 1));
    }
}
