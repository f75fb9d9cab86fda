"""Events in: whatever way a domain event comes, it ends in `Intake`."""
