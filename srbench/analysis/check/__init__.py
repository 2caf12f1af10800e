"""`srbench check`: did anything get worse than a baseline, by more than a tolerance?"""
