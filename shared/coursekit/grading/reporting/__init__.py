"""What instructors hand out and look at: feedback, tables of grades, statistics, similar solutions."""
