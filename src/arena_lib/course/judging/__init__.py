"""Judging a learner's file: its definitions are collected, and each exercise is run in a process of its own."""
