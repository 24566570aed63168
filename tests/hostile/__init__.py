"""Submissions that break, cheat, hog, spy and race: each graded for what its honest part deserves.

- `course.py`       a small foreign course: five exercises without a database, one with
- `scene.py`        one grading folder of that course: an instructor's secrets, a classmate, a listener, a gradebook
- `maker.py`        what a hostile submission is, and the helpers that make one
- `submissions/`    the submissions, one file per group; each says what it tries and what it deserves
- `grade_once.py`   one grading run through the public API; `warden.py` runs it and catches what outlives it
- `test_makers.py`  the submissions are what they say; `test_hostile.py` grades them; `test_races.py` disturbs runs

Payloads are capped (300 MB of memory, 60 processes, 100 MB of disk, 60 s of sleep) and signal nothing that the test did not
start. An attack that succeeds says so by spoiling an exercise that was right ("the attack got through: ...").
"""
