{{/* Parts of pods. Every container of the chart takes its security context from here: the "restricted" Pod Security Standard. */}}

{{- define "rowlock.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "rowlock.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Metadata of a pod. `evictable` = its emptyDirs whose loss costs nothing: the cluster autoscaler keeps a node for any other one. */}}
{{- define "rowlock.podMetadata" -}}
{{- $own := include "rowlock.labels" . | fromYaml -}}
labels:
  {{- mergeOverwrite (deepCopy .root.Values.podLabels) (.labels | default dict) $own | toYaml | nindent 2 }}
{{- $annotations := mergeOverwrite (deepCopy .root.Values.podAnnotations) (.annotations | default dict) }}
{{- with .evictable }}
{{- $_ := set $annotations "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes" (join "," .) }}
{{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* URLs reach a program as files of a Secret, never as text in a pod. `keys` = the only keys that pod may see. */}}
{{- define "rowlock.secretFiles" -}}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    # 0440 with fsGroup: readable for the program's group only.
    defaultMode: 0440
    items:
    {{- range .keys }}
      - key: {{ . }}
        path: {{ . }}
    {{- end }}
{{- end -}}
