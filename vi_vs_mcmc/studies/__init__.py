"""Many fits over many problems: one study a file, found by its name; files that begin with _ are what studies share.

A study's file has `DEFAULTS`, its settings; `run(folder, chosen, seed, progress)`, which checks them and writes study.csv,
study.json and study.html; and `shown(table)`, the few lines that a terminal shows.
"""
