import signal

from hypothesis import settings

# Wall-clock deadlines fail on a busy machine, not on a wrong result.
settings.register_profile("geoae", deadline=None)
settings.load_profile("geoae")

# A test run in the background of a script ignores what its commands are asked to hear.
for number, answer in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, answer)
