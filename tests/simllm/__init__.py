"""Tests of the simulated model server, over real HTTP where a client would use it."""
