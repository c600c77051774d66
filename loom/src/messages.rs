//! The messages of a thread: each comes once, in the order of each poster, and none is slept over.

use super::super::engine::home::Home;
use super::queue::Queue;
use crate::async_select::MESSAGES_MAX;
use crate::error::{ERROR_INVALID_WINDOW_HANDLE, ERROR_NOT_ENOUGH_QUOTA};
use loom::thread;
use std::sync::Arc;

fn queue() -> Arc<Queue> {
    Arc::new(Queue::new(Arc::new(Home::new())))
}

/// Two threads post while the thread reads, and sleeps when it finds nothing.
pub fn no_message_is_lost_or_slept_over() {
    crate::walk(|| {
        let queue = queue();
        let posters: Vec<_> = [10, 20]
            .into_iter()
            .map(|first| {
                let queue = queue.clone();
                thread::spawn(move || (first..first + 2).for_each(|message| queue.tell(message)))
            })
            .collect();
        let mut read = Vec::new();
        while read.len() < 4 {
            match queue.pop() {
                Some(message) => read.push(message),
                None => queue.home().wait(None),
            }
        }
        for first in [10, 20] {
            let theirs: Vec<_> = read.iter().copied().filter(|message| *message / 10 * 10 == first).collect();
            assert_eq!(theirs, [first, first + 1]);
        }
        posters.into_iter().for_each(|poster| poster.join().expect("a poster"));
    });
}

/// A full queue refuses, and what it has accepted comes.
pub fn what_is_refused_does_not_come_and_the_rest_does() {
    crate::walk(|| {
        let queue = queue();
        let posts = {
            let queue = queue.clone();
            thread::spawn(move || {
                let posted = (0..3).map(|message| queue.post(message));
                let outcomes: Vec<_> = posted.collect();
                assert!(
                    outcomes.iter().all(|outcome| [Ok(()), Err(ERROR_NOT_ENOUGH_QUOTA)].contains(outcome))
                );
                outcomes.iter().filter(|outcome| outcome.is_ok()).count()
            })
        };
        let early = queue.pop().into_iter().count();
        let accepted = posts.join().expect("the poster");
        let late = std::iter::from_fn(|| queue.pop()).count();
        assert!(accepted >= MESSAGES_MAX);
        assert_eq!(early + late, accepted);
    });
}

/// A post that meets the end of the queue is accepted before it or refused after it.
pub fn a_queue_that_is_gone_refuses() {
    crate::walk(|| {
        let queue = queue();
        let posts = {
            let queue = queue.clone();
            thread::spawn(move || queue.post(1))
        };
        queue.close();
        assert!(queue.is_closed() && queue.pop().is_none());
        assert!([Ok(()), Err(ERROR_INVALID_WINDOW_HANDLE)].contains(&posts.join().expect("the poster")));
        assert_eq!(queue.post(2), Err(ERROR_INVALID_WINDOW_HANDLE));
    });
}
