"""Freshdesk, API version 2: https://developers.freshdesk.com/api/."""
