"""Where a learner's code runs: the strongest isolation that this machine offers, chosen in a fixed order and announced.

docker, podman   a container per submission, no network, read-only, memory and processes bounded
bwrap            a bubblewrap sandbox per worker, and namespaces of its own per submission within it
namespaces       Linux namespaces without any program's help
plain            an ordinary process with limits: NOT isolated, only for people you trust

backends.py      what there is, probing, choosing
cage.py          the sandboxed process that learners are forked from
seccomp.py      system calls that no exercise needs
enclosure.py     namespaces and an own view of the files
warden.py        the process above each learner's
syscalls.py      what Python's standard library lacks
"""
