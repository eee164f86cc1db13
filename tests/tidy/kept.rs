//! State with a life of its own: what a reload, an upgrade and a restart do with it is promised in a
//! table, and each promise names the test that keeps it.
//!
//! A row of the table without tests, a test that is gone, and a promise that nobody wrote down fail.
//! "Gone" and "begins anew" need no test: a new process that knows nothing keeps them by itself.

use super::expect_none;
use super::files::read;
use super::files::rust_below;

/// Where the table is.
const DOCUMENT: &str = "docs/high-availability.md";

/// How the row of each state begins, and what shows it for a reload and for an upgrade.
const SHOWN_BY: &[(&str, &[&str], &[&str])] = &[
    (
        "where each master is",
        &[
            "a_reload_just_after_a_promotion_does_not_lead_back_to_the_old_master",
            "a_file_that_has_a_master_elsewhere_moves_none_that_the_sentinels_name",
        ],
        &[
            "an_upgrade_just_after_a_promotion_does_not_lead_back_to_the_old_master",
            "of_two_memories_the_newer_configuration_counts",
        ],
    ),
    (
        "how long requests are held",
        &["a_watcher_goes_on_with_all_that_another_knew"],
        &["a_watcher_goes_on_with_all_that_another_knew"],
    ),
    (
        "that writes wait for a failover",
        &["a_watcher_goes_on_with_all_that_another_knew"],
        &["a_watcher_goes_on_with_all_that_another_knew"],
    ),
    (
        "who belongs to the group of Sentinels",
        &["the_group_is_known_on_as_long_as_most_of_the_file_belong_to_it"],
        &["a_watcher_goes_on_with_all_that_another_knew"],
    ),
    (
        "that writes are allowed",
        &["writes_that_were_allowed_stay_allowed_for_a_moment_and_no_longer"],
        &["writes_that_were_refused_stay_refused"],
    ),
    (
        "which replicas are read",
        &["another_master_makes_all_begin_anew"],
        &["a_replica_is_read_after_some_good_answers_and_until_the_first_bad_one"],
    ),
    (
        "`ctl drain`",
        &["drains_reloads_upgrades_and_stuck_workers_leave_every_sign_in_use"],
        &[
            "a_drain_and_its_pace_stay_in_force_until_they_are_taken_back",
            "a_master_that_was_switched_is_where_it_was_told_to_be_and_a_newer_file_overrules_it",
            "the_log_level_that_was_told_stays",
        ],
    ),
    (
        "what clients listen to",
        &["channels_whose_server_changes_are_listened_to_where_they_live_now"],
        &["who_listens_hears_each_message_once_before_and_after_and_is_told_nothing_in_between"],
    ),
    (
        "which servers are ejected",
        &["a_server_that_is_ejected_already_is_asked_when_the_new_file_says"],
        &["a_server_is_ejected_at_the_limit_and_readmitted_once_by_a_probe"],
    ),
];

/// The first cells of the table's rows.
fn rows(document: &str) -> Vec<&str> {
    let table = document
        .split_once("## What is kept\n")
        .map_or("", |(_, rest)| rest);
    let table = table.split("\n## ").next().unwrap_or("");
    let rows = table.lines().filter(|line| line.starts_with("| "));
    rows.skip(1)
        .filter_map(|row| row.trim_start_matches("| ").split(" | ").next())
        .collect()
}

#[test]
fn what_is_promised_to_be_kept_is_shown_by_a_test_that_is_there() {
    let document = read(DOCUMENT);
    let rows = rows(&document);
    assert!(rows.len() >= SHOWN_BY.len(), "{DOCUMENT} has no table");
    let mut wrong = Vec::new();
    for row in &rows {
        if !SHOWN_BY.iter().any(|(state, ..)| row.starts_with(state)) {
            wrong.push(format!("{DOCUMENT}: no test shows the row \"{row}\""));
        }
    }
    let mut code: Vec<String> = Vec::new();
    for folder in ["src", "tests"] {
        code.extend(rust_below(folder).into_iter().map(|file| file.text));
    }
    let is_there = |test: &&str| {
        code.iter()
            .any(|text| text.contains(&format!("fn {test}()")))
    };
    for (state, reload, upgrade) in SHOWN_BY {
        if !rows.iter().any(|row| row.starts_with(state)) {
            wrong.push(format!(
                "{DOCUMENT}: no row says what becomes of \"{state}\""
            ));
        }
        for (change, tests) in [("reload", reload), ("upgrade", upgrade)] {
            if tests.is_empty() {
                wrong.push(format!("\"{state}\": nothing shows what a {change} does"));
            }
            let gone = tests.iter().filter(|test| !is_there(test));
            wrong.extend(gone.map(|test| format!("\"{state}\": there is no test {test}")));
        }
    }
    expect_none("what is kept, and by which test", &wrong);
}
