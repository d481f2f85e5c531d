pytest_plugins = ["tradeguard.tests.fixtures"]
