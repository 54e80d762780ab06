"""Other programs that find faces, run beside ours by scripts/bench_detector.py."""
