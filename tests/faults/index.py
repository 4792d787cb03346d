"""Which tests show what a run must survive. `python -m tests.faults.index` runs them all, the slow ones too.

Keys are what must hold; a test is `file::function` below `tests/`. What cannot be tested everywhere says so in `NOTES`.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]

INDEX: dict[str, tuple[str, ...]] = {
    # Crash and resume
    "1 killed at a random step, the same command ends the same": (
        "fitting/test_experiment.py::test_killed_at_any_step_it_ends_the_same",
        "faults/test_kills.py::test_random_kills_in_one_run_change_nothing",
        "fitting/test_resuming.py::test_double_precision_goes_on_to_the_last_bit",
        "fitting/test_resuming.py::test_what_auto_means_elsewhere_does_not_go_on",
    ),
    "2 killed while a checkpoint is written": (
        "runs/test_crashes_while_saving.py::test_a_kill_at_any_instant_leaves_the_old_or_the_new_and_nothing_partial",
        "runs/test_crashes_while_saving.py::test_a_kill_at_any_instant_leaves_the_old_state_or_the_new",
        "test_files.py::test_only_our_own_temporaries_are_removed",
    ),
    "3 order of writing": (
        "test_files.py::test_order_is_write_then_sync_then_rename_then_sync_of_the_folder",
        "test_files.py::test_the_systems_temporary_folder_plays_no_part",
        "test_files.py::test_an_exception_inside_surfaces_unchanged_and_keeps_the_old_content",
    ),
    "4 fifty kills in one run": ("faults/test_kills.py::test_random_kills_in_one_run_change_nothing",),
    "5 resumed at step 0, 1, the last; finished; more steps": (
        "fitting/test_resuming.py::test_killed_while_it_saves_its_images_it_ends_the_same",
        "fitting/test_resuming.py::test_killed_in_its_first_second_or_last_step_it_ends_the_same",
        "fitting/test_experiment.py::test_the_same_command_again_says_finished_and_changes_nothing",
        "runs/test_branching.py::test_more_steps_go_on_from_the_end",
    ),
    "6 a changed option": (
        "fitting/test_experiment.py::test_another_option_or_another_picture_means_another_folder",
        "runs/test_lying_checkpoints.py::test_another_configuration_is_refused_with_the_differing_options",
    ),
    "7 two processes, one folder; a stale lock": (
        "runs/test_locks.py::test_a_second_process_is_refused_and_told_who_the_first_is",
        "runs/test_locks.py::test_the_lock_of_a_killed_process_is_taken_over_and_that_is_said",
        "runs/test_locks.py::test_only_one_process_at_a_time_holds_a_lock",
    ),
    "8 average, stopping rule and rollback state come back": (
        "fitting/test_resuming.py::test_killed_while_it_saves_its_images_it_ends_the_same",
        "stopping/test_watching.py::test_resumed_rule_decides_the_same_to_the_bit",
        "faults/test_kills.py::test_random_kills_in_one_run_change_nothing",
    ),
    # Signals
    "9 signals": (
        "fitting/test_experiment.py::test_a_signal_saves_and_the_same_command_continues",
        "fitting/test_experiment.py::test_a_terminal_that_is_gone_does_not_end_the_run",
        "fitting/test_experiment.py::test_what_the_run_was_started_to_ignore_stays_ignored",
        "faults/test_signals.py::test_a_signal_in_the_first_step_is_heard",
        "faults/test_signals.py::test_a_request_to_save_never_ends_a_run",
        "faults/test_signals.py::test_a_second_interrupt_ends_at_once",
    ),
    "10 told to end while saving": ("faults/test_signals.py::test_told_to_end_while_saving",),
    # Checkpoints that lie
    "11 damaged checkpoints": (
        "runs/test_lying_checkpoints.py::test_a_damaged_one_is_passed_over_with_a_warning",
        "runs/test_lying_checkpoints.py::test_damage_is_found_before_anything_is_unpickled_and_named_when_none_is_left",
        "runs/test_generations.py::test_a_truncated_file_is_found_by_its_length",
        "runs/test_generations.py::test_a_flipped_bit_in_any_byte_of_file_and_manifest_is_found",
        "runs/test_generations.py::test_a_folder_or_a_pipe_in_a_files_place_is_found",
    ),
    "12 another network's, a newer format's, one with NaN": (
        "runs/test_checkpoints.py::test_another_networks_weights_are_refused_with_their_keys",
        "runs/test_lying_checkpoints.py::test_a_newer_format_is_refused_by_its_version_although_an_older_file_is_there",
        "runs/test_lying_checkpoints.py::test_weights_that_are_not_finite_are_refused_on_loading",
    ),
    "13 pickles that would run code": (
        "runs/test_lying_checkpoints.py::test_a_pickle_that_would_run_code_is_blocked",
        "runs/test_lying_checkpoints.py::test_nothing_in_the_program_unpickles_without_care",
        "runs/test_lightning_checkpoints.py::test_lightning_gets_no_hyper_parameters_from_a_checkpoint",
    ),
    "14 retention": (
        "runs/test_crashes_while_saving.py::test_a_kill_at_any_instant_leaves_the_old_or_the_new_and_nothing_partial",
        "runs/test_generations.py::test_a_failing_delete_warns_and_goes_on",
    ),
    # Disk, numbers, memory
    "15 disk full": (
        "faults/test_disk.py::test_no_room_for_a_checkpoint",
        "runs/test_crashes_while_saving.py::test_a_full_disk_leaves_the_older_checkpoints_and_says_what_was_needed",
        "callbacks/test_watchers.py::test_a_full_disk_costs_the_notes_not_the_run",
        "fitting/test_experiment.py::test_a_full_disk_costs_the_pictures_not_the_run",
    ),
    "16 a folder that is read-only or gone": (
        "faults/test_disk.py::test_a_folder_that_goes_away",
        "runs/test_locks.py::test_a_folder_that_cannot_be_made_is_named",
        "runs/test_checkpoints.py::test_a_run_folder_that_vanished_is_named_and_not_made_again",
    ),
    "17 numbers that are not finite": (
        "images/test_decoding.py::test_float_tiff",
        "callbacks/test_rollback.py::test_a_collapse_is_undone",
        "callbacks/test_rollback.py::test_a_loss_that_is_no_number_halves_the_rate",
        "callbacks/test_rollback.py::test_it_gives_up_after_three_halvings",
        "callbacks/test_rollback.py::test_no_checkpoint_is_ever_written_with_weights_that_are_no_numbers",
        "callbacks/test_rollback.py::test_killed_around_a_rollback_it_ends_the_same",
        "fitting/test_experiment.py::test_a_diverging_run_fails_in_one_line",
        "runs/test_checkpoints.py::test_weights_that_are_not_finite_never_replace_finite_ones",
        "stopping/test_watching.py::test_broken_steps_leave_no_trace_in_the_answer",
    ),
    "18 out of memory": (
        "callbacks/test_watchers.py::test_out_of_memory_says_what_to_lower",
        "sweep/test_loop.py::test_one_job_fails_and_the_others_run",
    ),
    "19 no such device": ("hardware/test_devices.py::test_a_device_that_is_not_here_is_an_error_not_a_cpu",),
    "20 seeds and threads": (
        "fitting/test_experiment.py::test_same_seed_same_bytes_another_seed_others",
        "faults/test_surroundings.py::test_the_number_of_threads_is_recorded",
    ),
    # Configuration and sweeps
    "21 wrong options": (
        "configuration/test_schema.py::test_a_wrong_option_is_one_line_that_names_it",
        "configuration/test_schema.py::test_an_error_in_the_terminal",
    ),
    "22 no configuration runs code or reads the environment": (
        "faults/test_hostile_configuration.py::test_nothing_typed_runs_code",
        "faults/test_hostile_configuration.py::test_a_tag_in_a_file_runs_no_code",
        "faults/test_hostile_configuration.py::test_the_environment_stays_out_of_saved_files",
    ),
    "23 a job of a sweep fails": (
        "sweep/test_loop.py::test_one_job_fails_and_the_others_run",
        "sweep/test_launchers.py::test_a_sweep_with_a_failing_job",
        "sweep/test_ending.py::test_the_table_names_failures_and_their_logs",
        "sweep/test_ending.py::test_exit_status",
    ),
    "24 a sweep is killed": (
        "sweep/test_launchers.py::test_a_killed_sweep_goes_on_where_it_was",
        "sweep/test_loop.py::test_a_killed_sweep_takes_its_jobs_with_it_in_order",
        "sweep/test_loop.py::test_a_job_whose_result_is_cut_runs_again",
    ),
    "25 a sweep is interrupted; two sweeps": (
        "sweep/test_loop.py::test_a_signal_interrupts_what_runs_and_starts_nothing_more",
        "sweep/test_loop.py::test_two_sweeps_over_the_same_jobs_share_them",
    ),
    "26 poor surroundings": (
        "faults/test_surroundings.py::test_without_home_git_locale_and_network_it_runs",
        "faults/test_surroundings.py::test_tensorboard_is_never_opened_to_others",
    ),
    # Hostile and odd images
    "27 bombs and what is no picture": (
        "images/test_hostile_images.py::test_a_real_bomb_takes_no_memory",
        "images/test_hostile_images.py::test_huge_claims_are_refused_before_memory_is_taken",
        "images/test_hostile_images.py::test_refused",
        "images/test_hostile_images.py::test_truncated",
        "images/test_hostile_images.py::test_broken_bytes_raise_nothing_but_image_errors",
    ),
    "28 odd sizes": ("faults/test_surroundings.py::test_a_picture_of_any_shape_comes_back_in_its_shape",),
    "29 kinds of pictures": (
        "images/test_decoding.py::test_eight_bits",
        "images/test_decoding.py::test_eight_bits_with_alpha",
        "images/test_decoding.py::test_one_bit",
        "images/test_decoding.py::test_palette_becomes_rgb",
        "images/test_decoding.py::test_sixteen_bit_png_loses_nothing",
        "images/test_decoding.py::test_sixteen_bit_tiff",
        "images/test_decoding.py::test_cmyk_by_the_plain_formula",
        "images/test_decoding.py::test_float_tiff",
        "images/test_images.py::test_alpha_follows_the_size_and_is_never_dropped",
    ),
    "30 EXIF orientations": ("images/test_decoding.py::test_the_eight_exif_orientations_are_equal",),
    "31 odd places and names": (
        "images/test_hostile_images.py::test_places_that_are_no_files",
        "images/test_hostile_images.py::test_unreadable",
        "images/test_hostile_images.py::test_odd_names_work_and_stay_on_one_line",
    ),
    "32 output that cannot be written": (
        "images/test_images.py::test_saving_is_atomic_and_refuses_in_one_line",
        "images/test_images.py::test_a_folder_that_may_not_be_written",
    ),
}

NOTES = {
    "5 resumed at step 0, 1, the last; finished; more steps": (
        "more steps go on where the shorter run kept its checkpoint (keep_checkpoint=true) and was not ended by its rule"
    ),
    "15 disk full": "by a limit on the size of files, which fails as a full disk does",
    "16 a folder that is read-only or gone": "read-only: at the level of the writer and the lock; whole runs in the soak",
    "18 out of memory": "the allocator's error is raised by hand: a machine that is really full takes others with it",
    "26 poor surroundings": "the network is closed by a namespace of its own, where the system grants one",
}
"""What a test does not show, or cannot."""


def functions(path: Path) -> set[str]:
    """The names of the functions at the top of a file."""
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def missing() -> list[str]:
    """The tests that are named and do not exist."""
    named = {test for tests in INDEX.values() for test in tests}
    return sorted(
        test
        for test in named
        if not (TESTS / test.partition("::")[0]).is_file()
        or test.partition("::")[2] not in functions(TESTS / test.partition("::")[0])
    )


def main(arguments: list[str]) -> int:
    """Runs pytest on everything here and everything named, with `arguments` more."""
    import pytest

    elsewhere = {test for tests in INDEX.values() for test in tests if not test.startswith("faults/")}
    return pytest.main(
        [str(TESTS / "faults"), *(str(TESTS / test) for test in sorted(elsewhere)), *arguments]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
