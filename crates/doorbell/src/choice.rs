//! Which model fits the settings, when nobody says.

use crate::model::Model;
use crate::models::completion_port;
use crate::settings::Settings;

/// The model, and why in half a sentence. A completion port, unless so few may come that its threads gain nothing.
pub(crate) fn choose(settings: &Settings, processors: usize) -> (Model, String) {
    let threads = completion_port::workers(settings, processors);
    let clients_max = settings.connections_max;
    if settings.concurrency == 0 && clients_max <= threads {
        let why = format!(
            "since no more than {clients_max} may be connected: a thread for each is the simplest, and not more threads \
             than the {threads} that a completion port would have"
        );
        return (Model::Blocking, why);
    }
    let why = format!(
        "since {} may be connected: any of its {threads} threads serves any of them, so nobody waits for another's thread",
        if clients_max == usize::MAX { "any number".to_owned() } else { clients_max.to_string() }
    );
    (Model::CompletionPort, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(threads: Option<usize>, concurrency: u32, connections_max: usize) -> (Model, String) {
        choose(&Settings { threads, concurrency, connections_max, ..Settings::default() }, 4)
    }

    #[test]
    fn any_number_of_clients_is_a_matter_for_a_completion_port() {
        let (model, why) = chosen(None, 0, usize::MAX);
        assert_eq!(model, Model::CompletionPort);
        assert!(why.contains("any number") && why.contains("8 threads"), "{why}");
    }

    #[test]
    fn no_more_clients_than_threads_have_a_thread_each() {
        for (threads, connections_max, expected) in [
            (None, 8, Model::Blocking),
            (None, 9, Model::CompletionPort),
            (Some(100), 100, Model::Blocking),
            (Some(1), 8, Model::CompletionPort),
        ] {
            let (model, why) = chosen(threads, 0, connections_max);
            assert_eq!(model, expected, "{threads:?} threads, {connections_max} clients");
            assert!(why.contains(&connections_max.to_string()), "{why}");
        }
    }

    #[test]
    fn who_asks_for_a_concurrency_value_gets_the_model_that_has_one() {
        assert_eq!(chosen(None, 2, 8).0, Model::CompletionPort);
    }
}
