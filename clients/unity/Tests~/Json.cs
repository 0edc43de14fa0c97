using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Reflection;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace GameApi.Tests
{
    /// <summary>Reads JSON, and compares it with models.</summary>
    internal static class Json
    {
        internal static JObject Parse(string text)
        {
            using (var reader = new JsonTextReader(new StringReader(text)) { DateParseHandling = DateParseHandling.None })
            {
                return JObject.Load(reader);
            }
        }

        /// <summary>The names of the members of a model, as the service spells them.</summary>
        internal static IEnumerable<string> MembersOf(Type model) => PropertiesOf(model).Keys;

        /// <summary>Checks that each member of the JSON has the same value in the model.</summary>
        internal static void CheckSame(JObject json, object model, string where)
        {
            Dictionary<string, PropertyInfo> properties = PropertiesOf(model.GetType());
            Check.SameSet(json.Properties().Select(member => member.Name), properties.Keys, where);
            foreach (JProperty member in json.Properties())
            {
                CheckSame(member.Value, properties[member.Name].GetValue(model), where + "." + member.Name);
            }
        }

        private static void CheckSame(JToken json, object value, string where)
        {
            if (value is Attributes)
            {
                var attributes = (Attributes)value;
                Check.SameSet(((JObject)json).Properties().Select(member => member.Name), attributes.Keys, where);
                foreach (JProperty member in ((JObject)json).Properties())
                {
                    Check.Equal(TextOf(((JValue)member.Value).Value), attributes[member.Name].ToString(), where);
                }
            }
            else if (json is JObject)
            {
                CheckSame((JObject)json, value, where);
            }
            else if (json is JArray)
            {
                object[] items = ((IEnumerable)value).Cast<object>().ToArray();
                Check.Equal(((JArray)json).Count, items.Length, where);
                for (int index = 0; index < items.Length; index++)
                {
                    CheckSame(((JArray)json)[index], items[index], where);
                }
            }
            else
            {
                Check.Equal(TextOf(((JValue)json).Value), TextOf(value), where);
            }
        }

        internal static Dictionary<string, PropertyInfo> PropertiesOf(Type model) =>
            model.GetProperties(BindingFlags.Public | BindingFlags.Instance)
                .ToDictionary(property => SnakeCase(property.Name));

        private static string SnakeCase(string name) =>
            string.Concat(name.Select((letter, index) =>
                char.IsUpper(letter) ? (index > 0 ? "_" : string.Empty) + char.ToLowerInvariant(letter) : letter.ToString()));

        private static string TextOf(object value)
        {
            if (value is DateTimeOffset)
            {
                return ((DateTimeOffset)value).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
            }
            if (value is bool)
            {
                return (bool)value ? "true" : "false";
            }
            return Convert.ToString(value, CultureInfo.InvariantCulture);
        }
    }
}
