"""What pyproject.toml cannot say: a wheel carries the committed records, in repro/committed."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["repro*", "papers*"]), "repro.committed"],
    package_dir={"repro.committed": "results"},
    package_data={
        "repro.committed": ["runs/*/*.json", "bench*.json", "networks.json"],
        "repro.report": ["templates/*.j2"],
        "repro.training": ["*.json"],
    },
)
