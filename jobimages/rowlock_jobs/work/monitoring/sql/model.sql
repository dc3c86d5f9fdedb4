-- model: the model of a process.
select l.provider_name as provider, l.model_name as model, l.base_url, l.api_key_encrypted, l.max_tokens, l.temperature, l.settings
  from llm_provider_configurations l join monitoring_processes m on m.llm_provider_id = l.id where m.id = %(process_id)s
