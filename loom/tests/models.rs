//! Each model through all its interleavings.

macro_rules! models {
    ($($part:ident: $($model:ident),* $(,)?;)*) => {
        $(mod $part {
            $(#[test]
            fn $model() {
                doorbell_loom::models::$part::$model();
            })*
        })*
    };
}

models! {
    place: a_wake_reaches_a_thread_that_goes_to_sleep, a_wake_rings_for_a_thread_that_waits_in_a_domain;
    event: each_set_of_an_auto_reset_event_ends_one_wait, no_set_is_lost_on_a_wait_for_any,
        a_reset_behind_a_set_leaves_no_thread_half_woken, a_wait_for_all_takes_all_or_nothing,
        closing_an_event_ends_the_wait_for_it;
    messages: no_message_is_lost_or_slept_over, what_is_refused_does_not_come_and_the_rest_does,
        a_queue_that_is_gone_refuses;
    apcs: no_apc_is_lost_or_slept_over, what_meets_the_end_of_the_thread_is_given_back_or_dropped;
    port: each_packet_goes_to_one_thread, each_packet_goes_to_one_thread_with_a_poller, no_more_run_than_may,
        a_place_that_is_freed_is_given_to_another, closing_lets_everybody_go, a_time_out_loses_no_packet,
        a_poller_that_gives_up_is_followed_by_another, one_that_stops_running_is_followed_by_another,
        a_late_word_to_poll_displaces_no_packet, who_came_last_goes_first,
        who_came_last_goes_first_whomever_the_kernel_wakes;
}
