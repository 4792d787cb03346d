"""Reports of many runs: `python -m dip.report FOLDER`, at any time, also while the runs are in progress.

`page` writes the page of a folder, `leaderboard_page` that of a leaderboard, `publishing` a result page for a repository.
"""
