"""Promises of the documents, proved at length: each module runs alone and prints its figures as JSON. The
short form of each is a test.
"""
