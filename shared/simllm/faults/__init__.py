"""Scripted failures, per client: the kinds, what several do together, and who meets which next."""

from simllm.faults.base import PATHS, Effect, Page, Part
from simllm.faults.board import FaultBoard
from simllm.faults.fault import EFFECTS, KINDS, Fault, describe
from simllm.faults.meeting import Meeting

__all__ = ["EFFECTS", "KINDS", "PATHS", "Effect", "Fault", "FaultBoard", "Meeting", "Page", "Part", "describe"]
