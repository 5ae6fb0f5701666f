"""A Freshdesk that runs on this machine: the API v2 over real HTTP, with people, tickets and a knowledge base."""

from backend.simulator.freshdesk.account import Account, Change, File
from backend.simulator.freshdesk.application import Asked, Simulator, create_simulator
from backend.simulator.freshdesk.demo import AGENT_KEY, DEMO_KEY
from backend.simulator.freshdesk.fault import Fault, FaultKind, Faults
from backend.simulator.freshdesk.limit import Limiter, Plan
from backend.simulator.freshdesk.ready import demo_account, generated_account
from backend.simulator.freshdesk.server import FreshdeskSimulator
from backend.simulator.freshdesk.webhook import WebhookSender

__all__ = [
    "AGENT_KEY",
    "DEMO_KEY",
    "Account",
    "Asked",
    "Change",
    "Fault",
    "FaultKind",
    "Faults",
    "File",
    "FreshdeskSimulator",
    "Limiter",
    "Plan",
    "Simulator",
    "WebhookSender",
    "create_simulator",
    "demo_account",
    "generated_account",
]
