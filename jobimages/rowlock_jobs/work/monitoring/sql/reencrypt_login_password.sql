update mymoment_logins set password_encrypted = %(new)s where id = %(id)s and password_encrypted = %(old)s
