//! Whole projects, on a real engine with real brokers: two at a time, and of each one case at a time.
//!
//! The image of the brokers is `rabbitmq:4-management` unless `BROKER_IMAGE` names another.

mod clients;
mod clocks;
mod compose;
mod damage;
mod demo;
mod elsewhere;
mod exporter;
mod hardening;
mod interrupts;
mod limits;
mod links;
mod load;
mod nameko;
mod neighbours;
mod probe;
mod put_back;
mod refusals;
mod regions;
mod shapes;
mod status;
mod systems;
mod truth;
mod up;
mod uploads;
mod upstream_keys;

use libtest_mimic::Trial;

use crate::{
    harness::{Shared, alone, in_order},
    support::Project,
};

/// Lanes of about the same length, in which one case follows the other. More of them would have their brokers time
/// each other out while they boot.
pub fn lanes() -> Vec<Vec<Trial>> {
    let rest = [two_regions(), one_region(), systems(), others()];
    vec![three_regions(), rest.into_iter().flatten().collect()]
}

/// Three regions come up, are hardened, pass the demo and are repaired.
fn three_regions() -> Vec<Trial> {
    let project = Shared::new(|| Project::new(&["europe", "asia", "america"]));
    in_order! { project;
        Nothing {
            up::before_up_a_plan_has_changes,
            up::up_from_nothing_runs_every_link,
        }
        Up {
            up::a_second_up_changes_nothing_and_restarts_no_link,
            up::after_up_a_plan_has_none,
            hardening::every_container_is_hardened,
            hardening::only_the_owner_can_read_the_passwords,
            hardening::a_broker_knows_no_guest,
            hardening::a_service_reaches_its_own_regions_broker_and_no_other,
            hardening::no_password_is_shown_anywhere,
            demo::every_scenario_passes,
            clocks::a_clock_that_is_not_the_engines_changes_no_proof,
            up::logs_are_those_of_the_chosen_container,
            up::following_logs_ends_with_an_interrupt,
            probe::every_link_moves_every_message_and_nothing_is_left,
            probe::a_link_that_runs_and_moves_nothing_is_found,
            probe::an_interrupted_probe_removes_what_it_made,
            status::a_removed_policy_is_shown_fails_the_demo_and_is_put_back,
            status::an_unexpected_link_is_shown_and_left_alone,
            links::links_are_restarted_by_name,
            links::paused_links_lose_nothing_and_stay_paused_until_they_are_resumed,
            links::links_between_two_regions_are_paused_and_resumed_though_another_is_silent,
            load::a_pause_while_messages_are_published_loses_none,
            upstream_keys::a_queue_that_a_link_would_declare_otherwise_needs_a_decision,
            shapes::events_cross_as_many_links_as_a_shape_needs,
            truth::the_links_of_a_paused_region_are_counted_and_known_or_unknown_at_once,
            exporter::a_scrape_counts_every_link_and_shows_a_paused_broker_at_once,
            limits::a_backlog_exceeds_a_limit_and_lags_until_it_shrinks,
            truth::a_region_cut_off_is_named_at_once_with_the_cause,
            truth::another_policy_that_wins_is_named_and_up_changes_nothing,
            truth::a_stream_is_neither_expected_nor_unexpected_and_named_once,
            truth::an_alarm_is_named_by_up_and_by_a_scenario_that_fails,
            truth::a_plugin_that_is_off_is_named_and_enabled,
            truth::doctor_finds_what_is_wrong_and_its_bundle_has_no_password,
            truth::a_project_of_another_directory_is_left_alone_unless_it_is_taken_over,
            damage::after_random_damage_status_is_true_and_one_up_mends_it,
            truth::what_a_narrowed_policy_leaves_is_removed_or_needs_a_decision,
            demo::a_stopped_service_is_named_and_put_back,
            demo::a_region_cut_off_fails_the_demo_and_is_connected_again,
            put_back::a_removed_upstream_is_put_back,
            put_back::an_edited_upstream_is_corrected_without_losing_queued_messages,
            put_back::a_changed_upstream_reaches_every_link_although_the_broker_fails,
            put_back::links_with_a_stale_password_are_restarted,
            put_back::a_change_that_was_cut_short_reaches_every_link,
            put_back::a_paused_broker_is_unpaused,
            put_back::a_killed_broker_is_started,
            put_back::a_stopped_broker_ends_cleanly_is_shown_and_started,
            put_back::a_broker_that_lost_its_data_is_recreated,
            put_back::a_removed_network_is_recreated,
            put_back::a_removed_administrator_is_put_back,
            put_back::lost_passwords_are_replaced_everywhere,
            up::down_keeps_the_data_and_another_up_finds_it,
            up::down_with_volumes_leaves_nothing,
        }
    }
}

/// An `up` that fails or is interrupted is finished by another, and regions are added and removed.
fn two_regions() -> Vec<Trial> {
    let project = Shared::new(|| Project::with_own_executable(&["europe", "asia"]));
    in_order! { project;
        Nothing {
            regions::a_broker_that_does_not_boot_is_reported_with_its_log_and_stops_no_other,
        }
        Up {
            interrupts::an_interrupt_while_an_image_is_imported,
        }
        Nothing {
            interrupts::a_termination_while_containers_are_made,
        }
        Any {
            interrupts::a_kill_while_brokers_boot,
        }
        Nothing {
            interrupts::a_kill_after_any_step_is_finished_by_another_up,
        }
        Up {
            interrupts::an_interrupt_while_brokers_boot,
            interrupts::a_second_interrupt_leaves_at_once,
            interrupts::a_second_up_is_refused_while_the_first_runs,
            interrupts::a_link_that_cannot_run_is_named_when_time_runs_out_or_up_is_interrupted,
            interrupts::an_exchange_of_another_type_is_reported_by_the_services_that_need_it,
            regions::a_region_that_is_added_joins_the_others,
            regions::a_region_is_not_removed_while_messages_wait_for_it,
            regions::a_region_that_is_removed_leaves_only_its_data,
            regions::another_broker_image_goes_region_by_region_and_stops_where_one_does_not_boot,
        }
    }
}

/// Every system passes across regions, and fails when it must.
fn systems() -> Vec<Trial> {
    let project = Shared::new(systems::project);
    in_order! { project;
        Nothing {
            systems::up_from_nothing_runs_every_link,
        }
        Up {
            systems::every_scenario_passes,
            systems::logs_of_a_service_are_those_of_all_its_replicas,
            systems::a_checkout_is_traced_through_its_regions,
            systems::an_order_that_cannot_be_paid_gives_its_stock_back,
            systems::a_poisoned_message_fails_its_scenario_and_is_found,
            systems::a_queue_that_grows_faster_than_it_is_consumed_is_reported,
            systems::a_stopped_service_is_named_and_put_back,
            systems::a_region_cut_off_fails_every_scenario_and_names_the_links,
            systems::a_region_with_two_more_hosts_joins_by_an_edit,
            systems::a_second_region_with_inventory_and_payment_processes_its_own_orders,
        }
    }
}

/// What cannot be done is reported, and projects do not touch each other.
fn one_region() -> Vec<Trial> {
    let project = Shared::new(|| Project::with_own_executable(&["europe"]));
    in_order! { project;
        Nothing {
            uploads::many_uploads_into_one_volume_do_not_disturb_each_other,
            refusals::objects_of_others_are_left_alone,
            refusals::an_unwritable_directory_is_reported,
            refusals::an_engine_whose_disk_is_full_is_reported,
            refusals::an_image_that_does_not_exist_is_named,
            refusals::a_port_in_use_is_reported_with_its_container,
        }
        Up {
            elsewhere::ports_that_cannot_be_reached_from_here_are_named_soon,
            refusals::one_region_alone_passes_the_demo,
            regions::a_service_with_an_image_of_its_own_comes_up_without_a_readiness_check,
            neighbours::two_projects_do_not_touch_each_other_or_each_others_images,
        }
    }
}

/// Other implementations, and other tools.
fn others() -> Vec<Trial> {
    let project = Shared::new(|| Project::new(&["europe"]));
    let mut cases = in_order! { project;
        Nothing {
            nameko::nameko_services_stand_in_for_ours_in_any_region,
            clients::python_clients_stand_in_for_ours_on_either_side,
        }
    };
    cases.push(alone(
        "e2e::compose::docker_compose_stands_the_regions_up_and_an_event_crosses_them",
        compose::docker_compose_stands_the_regions_up_and_an_event_crosses_them,
    ));
    cases.push(alone(
        "e2e::interrupts::a_container_that_started_meanwhile_is_stopped_and_removed",
        interrupts::a_container_that_started_meanwhile_is_stopped_and_removed,
    ));
    cases.push(alone(
        "e2e::interrupts::a_container_killed_for_lack_of_memory_is_known",
        interrupts::a_container_killed_for_lack_of_memory_is_known,
    ));
    cases
}
