"""Packaging of rtwist; `pip install .` also installs the `twistd rtwist` plugin."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="rtwist",
    version="0.1.0",
    description="Real-time event server on Twisted: domain events in, socket.io-client browsers out",
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[*find_packages(include=["rtwist", "rtwist.*"]), "twisted.plugins"],
    package_data={"rtwist": ["py.typed", "*.html"], "rtwist.intake.amqp": ["*.xml"]},
    zip_safe=False,
    install_requires=[
        "twisted[tls]>=24.10",
        "autobahn>=24.4.2",
        "cryptography>=42",
        "hiredis>=3",
        "klein>=24.8.0",
        "msgspec>=0.19",
        "pyjwt>=2.14",
        "tomli>=2.0; python_version < '3.11'",
        "treq>=24.9",
        "txamqp==0.8.2",
        "txredisapi>=1.6",
    ],
    extras_require={
        "test": [
            "hypothesis>=6.100",
            "pika>=1.3",
            "pytest>=8.0",
            "pytest-timeout>=2.3",
            "pytest-twisted>=1.14",
            "python-socketio[client]>=5.11",
        ],
        "types": ["mypy>=1.13", "mypy-zope>=1.0.9"],
    },
    classifiers=[
        "Framework :: Twisted",
        "Intended Audience :: Developers",
        "License :: OSI Approved :: MIT License",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Topic :: Internet :: WWW/HTTP",
        "Typing :: Typed",
    ],
)
