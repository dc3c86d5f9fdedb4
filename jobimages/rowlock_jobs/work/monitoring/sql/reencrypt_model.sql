update llm_provider_configurations set api_key_encrypted = %(new)s where id = %(id)s and api_key_encrypted = %(old)s
