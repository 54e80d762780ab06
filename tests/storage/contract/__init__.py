"""What every backend does, as storage/base.py promises it."""
