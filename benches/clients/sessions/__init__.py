"""What is measured, a session each."""
