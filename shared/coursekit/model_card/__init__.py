"""What the simulated models can and cannot do, measured: functions that run exams and give back numbers with intervals."""
