"""One contender per file: functions that `worker.py` calls in a process of their own."""
