{{/* What a set of values means: which databases, which namespaces. Contradictions end the rendering with a sentence. */}}

{{- define "rowlock.embeddedPostgresql" -}}
{{- if and .Values.embedded.enabled (not .Values.database.existingSecret) -}}true{{- end -}}
{{- end -}}

{{- define "rowlock.embeddedRedis" -}}
{{- if and .Values.embedded.enabled (not .Values.redis.existingSecret) -}}true{{- end -}}
{{- end -}}

{{- define "rowlock.databaseSecret" -}}
{{- default (printf "%s-database" .Release.Name) .Values.database.existingSecret -}}
{{- end -}}

{{- define "rowlock.redisSecret" -}}
{{- default (printf "%s-redis" .Release.Name) .Values.redis.existingSecret -}}
{{- end -}}

{{- define "rowlock.encryptionSecret" -}}
{{- default (printf "%s-encryption" .Release.Name) .Values.domain.monitoring.encryption.existingSecret -}}
{{- end -}}

{{/* Value of ROWLOCK_WATCH_NAMESPACES: empty = own namespace, * = all. */}}
{{- define "rowlock.watchNamespaces" -}}
{{- if .Values.watchNamespaces -}}
{{- join "," .Values.watchNamespaces -}}
{{- else if eq .Values.rbac.scope "cluster" -}}
*
{{- end -}}
{{- end -}}

{{/* JSON list of the namespaces that get a Role; a JSON list because templates return text only. */}}
{{- define "rowlock.roleNamespaces" -}}
{{- default (list .Release.Namespace) .Values.watchNamespaces | uniq | toJson -}}
{{- end -}}

{{- define "rowlock.check" -}}
{{- if and (not .Values.embedded.enabled) (not .Values.database.existingSecret) -}}
{{- fail "No database: set database.existingSecret to a Secret with the keys url and workerUrl, or embedded.enabled=true for a development database." -}}
{{- end -}}
{{- if and (not .Values.embedded.enabled) (not .Values.redis.existingSecret) -}}
{{- fail "No Redis: set redis.existingSecret to a Secret with the key url, or embedded.enabled=true for a development Redis." -}}
{{- end -}}
{{- if and .Values.domain.documents.enabled .Values.watchNamespaces (not (has .Release.Namespace .Values.watchNamespaces)) -}}
{{- fail (printf "Nobody would serve the WorkQueue documents: add %s to watchNamespaces, or set domain.documents.enabled=false." .Release.Namespace) -}}
{{- end -}}
{{- if and .Values.domain.monitoring.enabled .Values.watchNamespaces (not (has .Release.Namespace .Values.watchNamespaces)) -}}
{{- fail (printf "Nobody would serve MonitoringProcesses: add %s to watchNamespaces, or set domain.monitoring.enabled=false." .Release.Namespace) -}}
{{- end -}}
{{- if ge (int .Values.domain.monitoring.limits.softSeconds) (int .Values.domain.monitoring.limits.hardSeconds) -}}
{{- fail "domain.monitoring.limits: softSeconds must be smaller than hardSeconds, so that a task is interrupted before it is killed." -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled needs metrics.service.enabled=true: the ServiceMonitor finds pods through that Service." -}}
{{- end -}}
{{- if gt (len (keys .Values.domain.documents.volume)) 1 -}}
{{- fail (printf "domain.documents.volume must hold one volume source, not %s." (keys .Values.domain.documents.volume | sortAlpha | join " and ")) -}}
{{- end -}}
{{- if ge (int .Values.domain.documents.limits.softSeconds) (int .Values.domain.documents.limits.hardSeconds) -}}
{{- fail "domain.documents.limits: softSeconds must be smaller than hardSeconds, so that a task is interrupted before it is killed." -}}
{{- end -}}
{{- if gt (int .Values.domain.documents.scaling.min) (int .Values.domain.documents.scaling.max) -}}
{{- fail "domain.documents.scaling: min must not be greater than max." -}}
{{- end -}}
{{- end -}}
